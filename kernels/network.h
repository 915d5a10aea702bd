// SPDX-License-Identifier: Apache-2.0
// Network: the one narrow door to the kernels that evaluate a runtime network. A model is loaded
// for one backend, which packs its weights as it wants them; then it predicts.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/history/view.h"
#include "shared/mixture.h"
#include "shared/model_file.h"
#include "shared/result.h"

namespace auspex {

// What the pointer network reads of one job.
struct PointerInput {
  const EncodedJob* job = nullptr;
  const HistoryView* view = nullptr;
};

// Threads: any number at once. Errors: none.
class Network {
 public:
  virtual ~Network() = default;
  virtual std::string_view backend() const = 0;

  // The paper's network. outputs: [jobs.size()][kOutputCount]. Needs a model without a pointer.
  virtual void predict(std::span<const EncodedJob> jobs, float* outputs) const = 0;

  // The pointer network: one job's distribution. Needs a model with a pointer.
  virtual void mix(const PointerInput& input, Mixture& out) const = 0;

  // The points of a distribution that are used.
  virtual MixturePoints points(const Mixture& mixture) const = 0;
};

struct AvailableBackend {
  std::string_view name;  // precision, then instruction set; "reference": double precision
  Precision precision;
};

// Those this machine can run, of each precision the fastest first; "reference" is the last.
std::vector<AvailableBackend> available_backends();
std::vector<std::string_view> available_backends(Precision precision);

// backend: a name of available_backends(), or "auto": the fastest of the model's own precision.
// Errors: names the backend and the available ones; what of the model INT8 cannot do.
Result<std::shared_ptr<const Network>> load_network(std::shared_ptr<const ModelFile> model,
                                                    std::string_view backend = "auto");

}  // namespace auspex
