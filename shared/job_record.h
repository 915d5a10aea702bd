// SPDX-License-Identifier: Apache-2.0
// JobRecord: a submission of the past and how it ended.
#pragma once

#include <cstdint>
#include <string>

#include "shared/submission.h"

namespace auspex {

enum class Outcome : uint8_t { kCompleted, kFailed, kTimeout, kCancelled, kOther };

struct JobRecord {
  std::string id;
  Submission submission;  // submit_time_s and time_limit_min are always set
  int64_t start_s = 0;    // seconds since the epoch; 0 = unknown
  int64_t end_s = 0;
  double runtime_s = 0;
  Outcome outcome = Outcome::kOther;
};

}  // namespace auspex
