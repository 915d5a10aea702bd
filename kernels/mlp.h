// SPDX-License-Identifier: Apache-2.0
// MlpBackend: the one narrow door to the kernels that evaluate the runtime network.
#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "shared/model_file.h"
#include "shared/result.h"

namespace auspex {

class MlpBackend {
 public:
  virtual ~MlpBackend() = default;
  virtual std::string_view name() const = 0;

  // outputs: [jobs.size()][model outputs]. Threads: any number at once. Errors: none.
  virtual void predict(const ModelFile& model, std::span<const EncodedJob> jobs,
                       float* outputs) const = 0;
};

// The backends this machine can run, fastest first; "reference" (double precision) is the last.
std::vector<std::string_view> available_backends();

// name: one of available_backends(), or "auto". Errors: names the backend and the available ones.
Result<std::unique_ptr<MlpBackend>> make_backend(std::string_view name);

}  // namespace auspex
