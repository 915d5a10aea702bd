// SPDX-License-Identifier: Apache-2.0
#include "shared/second_look.h"

#include <cmath>

#include "shared/audit.h"
#include "shared/policy.h"

namespace auspex {
namespace {

LookMode mode_of(const Decision& decision, const Config& config) {
  if (decision.rule < 0) return config.second_look.mode;
  return config.rules[static_cast<size_t>(decision.rule)].second_look.value_or(
      config.second_look.mode);
}

bool may_change(const Decision& d) {
  return (d.why == Why::kModel || d.why == Why::kNotBelowAsked) &&
         (d.mode == Mode::kGuarded || d.mode == Mode::kHard);
}

// Smaller steps are not worth an update. Source: our choice.
bool is_another_limit(uint32_t to_min, uint32_t now_min) {
  const uint32_t apart = to_min > now_min ? to_min - now_min : now_min - to_min;
  return apart > now_min / 5;
}

bool is_another_place(const std::optional<int32_t>& factor, int32_t now, uint32_t weight) {
  return factor && std::abs(*factor - now) > static_cast<int32_t>(weight / 20);
}

Audit audit_after(const Decision& d, const std::optional<Audit>& before, uint32_t now_min,
                  uint32_t steps) {
  Audit after = audit_of(d, steps);
  after.why = "second-look";
  after.was_min = now_min;
  after.looks = before ? before->looks + 1 : 1;
  after.first_min = *d.asked_min;
  if (before) after.first_min = before->first_min != 0 ? before->first_min : before->applied_min;
  return after;
}

}  // namespace

std::optional<SecondLook> look_again(const Submission& submission, const PendingJob& job,
                                     const Prediction& prediction, const Config& config,
                                     const Site& site, int64_t now_s) {
  Submission asked = submission;
  asked.submit_time_s = now_s;  // a reservation is near or far from now
  asked.admin_comment.clear();
  Decision d = decide(asked, &prediction, config, site);
  const LookMode mode = mode_of(d, config);
  if (mode == LookMode::kOff || !may_change(d)) return std::nullopt;

  const auto before = find_audit(submission.admin_comment);
  const bool ours = before ? is_limit_of(*before, job.limit_min) : job.limit_min == *d.asked_min;
  const bool touched = !ours || (before && before->extended > 0);
  const bool often = before && before->looks >= config.second_look.per_job;
  if (touched || often) return std::nullopt;

  SecondLook look{.mode = mode, .edits = {}, .to_min = *d.applied_min};
  if (is_another_limit(look.to_min, job.limit_min)) {
    look.edits.time_limit_min = look.to_min;
  } else {
    look.to_min = job.limit_min;
  }
  if (is_another_place(d.edits.site_factor, job.site_factor, config.order.weight)) {
    look.edits.site_factor = d.edits.site_factor;
  }
  if (look.edits == Edits{}) return std::nullopt;
  d.applied_min = look.to_min;
  look.edits.admin_comment = with_audit(submission.admin_comment,
                                        audit_after(d, before, job.limit_min, config.guard.steps));
  return look;
}

}  // namespace auspex
