// SPDX-License-Identifier: Apache-2.0
// NetworkBackend: the one narrow door to the kernels that evaluate a runtime network.
#pragma once

#include <memory>
#include <span>
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

class NetworkBackend {
 public:
  virtual ~NetworkBackend() = default;
  virtual std::string_view name() const = 0;

  // The paper's network. outputs: [jobs.size()][kOutputCount]. Needs !model.pointer().
  // Threads: any number at once. Errors: none.
  virtual void predict(const ModelFile& model, std::span<const EncodedJob> jobs,
                       float* outputs) const = 0;

  // The pointer network: one job's distribution. Needs model.pointer(). Threads, errors: as above.
  virtual void mix(const ModelFile& model, const PointerInput& input, Mixture& out) const = 0;

  // The points of a distribution that are used.
  virtual MixturePoints points(const Mixture& mixture) const = 0;
};

// The backends this machine can run, fastest first; "reference" (double precision) is the last.
std::vector<std::string_view> available_backends();

// name: one of available_backends(), or "auto". Errors: names the backend and the available ones.
Result<std::unique_ptr<NetworkBackend>> make_backend(std::string_view name);

}  // namespace auspex
