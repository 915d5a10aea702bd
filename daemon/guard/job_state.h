// SPDX-License-Identifier: Apache-2.0
// JobState: a job as slurmctld shows it, as far as the guard and the follower ask.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "shared/audit.h"
#include "shared/job_record.h"

namespace auspex {

enum class JobPhase : uint8_t { kPending, kRunning, kSuspended, kEnded };

struct JobState {
  uint32_t id = 0;
  uint32_t array_id = 0;  // of the array that it is a task of; 0: none
  uint32_t user = 0;
  JobPhase phase = JobPhase::kPending;
  bool held = false;
  int32_t site_factor = 0;                       // relative to NICE_OFFSET
  uint32_t limit_min = 0;                        // kUnlimitedMin: none
  int64_t submit_s = 0, start_s = 0, end_s = 0;  // since the epoch; end: of a running job expected
  double runtime_s = 0;                          // of one that ended, without suspensions
  Outcome outcome = Outcome::kOther;
  std::string partition, admin_comment;
  std::optional<Audit> audit;  // what the comment tells
};

}  // namespace auspex
