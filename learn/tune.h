// SPDX-License-Identifier: Apache-2.0
// Tuning: a model is trained on in coarse precisions, until it says in them about what it says in
// FP32. It learns nothing new: trained on the runtimes once more, it would learn the jobs it knows
// by heart, and its calibration would promise too much.
// Source: Hinton, Vinyals, Dean 2015 for the imitation; Polino, Pascanu, Alistarh 2018 in few bits.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "shared/history/past.h"
#include "shared/model_file.h"
#include "shared/result.h"

namespace auspex {

struct TuneOptions {
  uint32_t passes = 1;
  int64_t until_s = 0;       // of jobs submitted and ended before
  uint32_t window = 300000;  // the newest so many of them
  uint64_t seed = 1;
  uint32_t threads = 1;
};

// content: of either kind; its precisions are those to train in. Its layers, and its pointer,
// become those that were learned; its vocabulary and its calibration stay. FP32 stays as it is.
// jobs: by submit time. Returns the number of jobs that were learned from. Reproducible as
// train_network(). Errors: too few jobs; shapes that this build does not train; training failed.
Result<size_t> tune(const std::vector<HistoryJob>& jobs, const TuneOptions& options,
                    const std::function<void(double share)>& progress, ModelContent& content);

}  // namespace auspex
