// SPDX-License-Identifier: Apache-2.0
// Plan: what the guard does about one job now. Pure functions of the job's record, whose
// admin_comment holds all that the guard has to remember.
#pragma once

#include <cstdint>
#include <optional>

#include "daemon/guard/job_state.h"
#include "shared/audit.h"
#include "shared/site.h"

namespace auspex {

struct GuardRules {
  int64_t lead_s = 300;      // before the limit at which it is raised
  bool writes_audit = true;  // may change admin_comment; an operator may not
  int64_t sweep_s = 100;     // at most between two looks at all jobs
};

struct Plan {
  enum class Action : uint8_t {
    kNone,    // not ours, or at the user's own limit: Slurm's to end
    kWait,    // until look_at_s
    kRaise,   // to limit_min
    kOthers,  // somebody else changed the limit: that is final
  };
  Action action = Action::kNone;
  int64_t look_at_s = 0;
  uint32_t limit_min = 0;
};

// The limits of a guarded job in the order in which it gets them: applied, then steps of equal
// size up to the one asked for. Without a limit asked for, each is the double of the one before,
// and the last is none. Source: our choice.
uint32_t step_min(const Audit& audit, uint32_t step);

Plan plan_for(const JobState& job, int64_t now_s, const GuardRules& rules, const Site& site);

// The audit of a job whose limit the guard raises.
Audit raised(const Audit& audit, uint32_t from_min, uint32_t to_min);

}  // namespace auspex
