// SPDX-License-Identifier: Apache-2.0
// JobEvent: what happened to a job, as whoever saw it tells the daemon.
#pragma once

#include <cstdint>

#include "shared/history/past.h"
#include "shared/submission.h"

namespace auspex {

enum class EventKind : uint8_t { kSubmitted, kStarted, kEnded };

// What is not known yet at an event of its kind is left at its default.
struct JobEvent {
  EventKind kind = EventKind::kSubmitted;
  Submission submission;  // as the user asked: not with the limit that was applied
  int64_t start_s = 0;    // seconds since the epoch; of an end: 0 if no start was told
  int64_t end_s = 0;
  double runtime_s = 0;  // 0: cancelled before it ran
  Ending ending = Ending::kDone;
  // Slurm's, from whoever follows it; 0: not known. array_id: of the array that it is a task of.
  uint32_t job_id = 0, array_id = 0;
};

}  // namespace auspex
