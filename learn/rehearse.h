// SPDX-License-Identifier: Apache-2.0
// Rehearsal: the newest part of a history as if it happened now. The model promises before it
// learns, so that what the promises were worth is known from the first day; and it learns that part
// as the learner beside a daemon will go on to.
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

struct RehearsalOptions {
  int64_t first_s = 0;  // jobs submitted before are history only
  int64_t from_s = 0;   // jobs submitted from there on are rehearsed
  int64_t until_s = 0;  // what happened later is unknown
  PointerOptions training;
};

// content: a pointer network fitted on what had ended before from_s; becomes what it is after the
// rehearsal, with its calibration. Returns how well it predicted. jobs: by submit time.
// Errors: no job to rehearse; training failed.
Result<Scores> rehearse(const std::vector<HistoryJob>& jobs, const RehearsalOptions& options,
                        ModelContent& content, const std::function<void()>& submitted);

}  // namespace auspex
