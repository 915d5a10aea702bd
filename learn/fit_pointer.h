// SPDX-License-Identifier: Apache-2.0
// From a history to a pointer model: vocabulary, examples as the daemon would have seen them, fit,
// and the newest jobs rehearsed. A job that waited is two examples: as of its submission and as of
// its start, when its siblings may have ended. The second makes both predictions better.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "learn/pointer_trainer.h"
#include "learn/scores.h"
#include "shared/history/past.h"
#include "shared/model_file.h"
#include "shared/result.h"

namespace auspex {

struct FitOptions {
  PointerOptions training;
  int64_t until_s = 0;  // jobs submitted and ended before are learned from; the rest is unknown
  bool ids = true;      // without: a model that knows no site
  uint32_t window = 300000;  // the newest so many are learned from; older ones are history only
};

struct FittedPointer {
  ModelContent content;             // without trained_on and created_s
  size_t jobs = 0;                  // learned from
  int64_t first_s = 0, last_s = 0;  // their submissions, seconds since the epoch
  Scores rehearsed;                 // of the newest of them, before they were learned
};

struct FitProgress {
  std::function<void(const PointerProgress&)> fitted = [](const PointerProgress&) {};
  std::function<void(uint64_t submission)> rehearsed = [](uint64_t) {};  // counted from 1
};

// jobs: by submit time. Memory: about 2.5 kB for each example of the window.
// Errors: too few jobs, or too few that had ended when the newest came; training failed.
Result<FittedPointer> fit_pointer(const std::vector<HistoryJob>& jobs, const FitOptions& options,
                                  const FitProgress& progress);

}  // namespace auspex
