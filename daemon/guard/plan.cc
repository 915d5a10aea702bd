// SPDX-License-Identifier: Apache-2.0
#include "daemon/guard/plan.h"

#include <algorithm>
#include <limits>

#include "shared/units.h"

namespace auspex {
namespace {

bool is_step(const Audit& audit, uint32_t limit_min) {
  for (uint32_t step = 0; step <= audit.steps; ++step) {
    if (step_min(audit, step) == limit_min) return true;
  }
  return false;
}

// Who may not write the audit does not find there what it did last.
bool is_ours(const Audit& audit, uint32_t limit_min, const GuardRules& rules) {
  return is_limit_of(audit, limit_min) || (!rules.writes_audit && is_step(audit, limit_min));
}

// The first step that leaves more than the lead; a job may be found late.
uint32_t next_limit_min(const Audit& audit, const JobState& job, int64_t now_s, int64_t lead_s) {
  for (uint32_t step = 0; step < audit.steps; ++step) {
    const uint32_t limit_min = step_min(audit, step);
    if (limit_min <= job.limit_min) continue;
    const int64_t end_s = job.end_s + 60 * (int64_t{limit_min} - int64_t{job.limit_min});
    if (end_s - now_s > lead_s) return limit_min;
  }
  return audit.asked_min;
}

}  // namespace

uint32_t step_min(const Audit& audit, uint32_t step) {
  if (step >= audit.steps) return audit.asked_min;
  if (audit.asked_min == kUnlimitedMin) {
    const uint64_t doubled = uint64_t{audit.applied_min} << std::min(step, 31U);
    return static_cast<uint32_t>(std::min<uint64_t>(doubled, kUnlimitedMin - 2));
  }
  const uint64_t room = audit.asked_min - audit.applied_min;
  return audit.applied_min + static_cast<uint32_t>((room * step + audit.steps - 1) / audit.steps);
}

Plan plan_for(const JobState& job, int64_t now_s, const GuardRules& rules, const Site& site) {
  if (job.phase == JobPhase::kEnded) return {};
  const std::optional<Audit>& audit = job.audit;
  if (!audit || audit->mode != Mode::kGuarded || audit->steps == 0 ||
      audit->applied_min >= audit->asked_min) {
    return {};
  }
  if (!is_ours(*audit, job.limit_min, rules)) return {.action = Plan::Action::kOthers};
  const uint32_t highest_min = std::min(audit->asked_min, most_min(site, job.partition));
  if (job.limit_min >= highest_min) return {};

  // It may start this very moment, and is looked at again before it could come near its limit; the
  // next sweep sees it anyway.
  const int64_t limit_s = 60 * int64_t{job.limit_min};
  const Plan wait = {.action = Plan::Action::kWait,
                     .look_at_s = now_s + std::max(limit_s - rules.lead_s, rules.sweep_s)};
  if (job.phase == JobPhase::kSuspended) return wait;
  if (job.phase == JobPhase::kPending) {
    const int64_t until_s = now_s + 60 * int64_t{highest_min} + rules.sweep_s;
    if (!blockage_between(site, job.partition, now_s, until_s)) return wait;
    return {.action = Plan::Action::kRaise, .limit_min = highest_min};
  }
  if (job.end_s - now_s > rules.lead_s) {
    return {.action = Plan::Action::kWait, .look_at_s = job.end_s - rules.lead_s};
  }
  return {.action = Plan::Action::kRaise,
          .limit_min = std::min(next_limit_min(*audit, job, now_s, rules.lead_s), highest_min)};
}

Audit raised(const Audit& audit, uint32_t from_min, uint32_t to_min) {
  Audit after = audit;
  after.was_min = from_min;
  after.limit_min = to_min;
  ++after.extended;
  return after;
}

}  // namespace auspex
