// SPDX-License-Identifier: Apache-2.0
// Second look: what becomes of a pending job that is decided again, knowing more. A pure function,
// as the first decision.
#pragma once

#include <cstdint>
#include <optional>

#include "shared/config.h"
#include "shared/decision.h"
#include "shared/site.h"
#include "shared/submission.h"

namespace auspex {

// As slurmctld has it now.
struct PendingJob {
  uint32_t limit_min = 0;
  int32_t site_factor = 0;  // relative to NICE_OFFSET
};

struct SecondLook {
  LookMode mode = LookMode::kOff;  // of the rule that matches; kObserve: nothing is to be applied
  Edits edits;  // admin_comment: the whole text, in the place of what stands there
  uint32_t to_min = 0;
};

// submission: as it was asked, with the job's admin_comment. nullopt: the job stays as it is,
// because the rule says so, nothing changes, it has been looked at often enough, or somebody has
// touched it.
std::optional<SecondLook> look_again(const Submission& submission, const PendingJob& job,
                                     const Prediction& prediction, const Config& config,
                                     const Site& site, int64_t now_s);

}  // namespace auspex
