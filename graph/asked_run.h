// SPDX-License-Identifier: Apache-2.0
// A run as users write it, and what a model needs for it.
#pragma once

#include <string>
#include <vector>

#include "graph/gpu.h"
#include "graph/onnx_input.h"
#include "graph/run_mode.h"
#include "shared/model_need.h"
#include "shared/result.h"

namespace auspex {

// "3x224x224"; "": the file says it. Errors: something else.
Result<std::vector<int64_t>> sample_of(const std::string& text);

struct AskedRun {
  ModelInput input;
  const Gpu* gpu;
  RunConfig config;
};
// Errors: a word that is none of those there are, a card of which nothing is known.
Result<AskedRun> asked_run(const ModelRun& run);

// fd: a regular file. Errors: those of read_onnx(); too much of it is unknown.
Result<ModelNeed> model_need(int fd, const AskedRun& asked, double context_mib);

}  // namespace auspex
