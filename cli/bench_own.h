// SPDX-License-Identifier: Apache-2.0
// The contestants of auspex bench from this house: every backend that runs here.
#pragma once

#include "cli/bench.h"
#include "shared/model_file.h"

namespace auspex::cli {

struct OwnChoice {
  std::vector<std::string> backends;  // "int8-vnni", "vnni" or "int8"; none: all
  bool gather = true, dense = true;
  bool every_dense = false;  // not the fastest set of each precision alone
  uint32_t threads = 1;      // that share a large batch
};

// Errors: a backend that does not run here, and those that do.
Status check_backends(const std::vector<std::string>& names);

// Errors: those of load_network.
Result<Contestants> own_contestants(const std::shared_ptr<const ModelFile>& model,
                                    const OwnChoice& choice);

}  // namespace auspex::cli
