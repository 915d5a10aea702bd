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

// How a model is computed.
struct Plan {
  // "reference" (double precision, whatever the model says); an instruction set: "avx2"; one with a
  // precision for all layers: "int8-avx2"; "auto": the fastest set here; a GPU's:
  // kernels/cuda_network.h.
  std::string backend = "auto";
  // For comparisons. Of a single sample rows of zero activations are left out; what is left adds up
  // to the same.
  bool skip_rows = true;
  // All rows of the first layer are multiplied instead of those that the one-hot names.
  bool dense_input = false;
  // That share a large batch.
  uint32_t threads = 1;
};

struct AvailableBackend {
  std::string name;  // precision, then instruction set; "reference": double precision
  Precision precision;
};

// Those this machine can run, of each precision the fastest first; "reference" is the last.
std::vector<AvailableBackend> available_backends();
std::vector<std::string> available_backends(Precision precision);

// The names of the instruction sets, the fastest first; integers: those that have something for
// them alone as well.
std::vector<std::string> instruction_sets(bool integers);

// Errors: names the backend and the available ones; what of the model a precision cannot do.
Result<std::shared_ptr<const Network>> load_network(std::shared_ptr<const ModelFile> model,
                                                    const Plan& plan);
inline Result<std::shared_ptr<const Network>> load_network(std::shared_ptr<const ModelFile> model,
                                                           std::string_view backend = "auto") {
  return load_network(std::move(model), Plan{std::string(backend)});
}

}  // namespace auspex
