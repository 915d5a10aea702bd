// SPDX-License-Identifier: Apache-2.0
#include "shared/policy.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>

#include "shared/audit.h"
#include "shared/message.h"
#include "shared/units.h"

namespace auspex {
namespace {

bool matches(const std::vector<std::string>& patterns, const std::string& value) {
  return patterns.empty() ||
         std::any_of(patterns.begin(), patterns.end(), [&value](const std::string& pattern) {
           return fnmatch(pattern.c_str(), value.c_str(), 0) == 0;
         });
}

bool matches_partition(const std::vector<std::string>& patterns, const Submission& s,
                       const Site& site) {
  if (patterns.empty()) return true;
  const auto names = partition_names(site, s.partition);
  return names.empty() ? matches(patterns, s.partition)
                       : std::any_of(names.begin(), names.end(), [&](std::string_view name) {
                           return matches(patterns, std::string(name));
                         });
}

bool matches(const RuleMatch& match, const Submission& s, const Site& site) {
  return matches_partition(match.partition, s, site) && matches(match.account, s.account) &&
         matches(match.user, s.user) && matches(match.qos, s.qos) && matches(match.name, s.name);
}

// Of the terms, what the rule says.
Terms matching_rule(const Submission& submission, const Config& config, const Site& site) {
  Terms terms{.mode = config.mode, .risk = config.risk, .slice = {}};
  for (size_t i = 0; i < config.rules.size(); ++i) {
    const Rule& rule = config.rules[i];
    if (!matches(rule.match, submission, site)) continue;
    terms.mode = rule.mode;
    terms.risk = rule.risk.value_or(config.risk);
    terms.rule = static_cast<int>(i);
    break;
  }
  return terms;
}

// What the user decided, and what has a meaning of its own for the limit, is not ours to change.
std::optional<Why> left_alone(const Submission& s, const Terms& terms) {
  if (terms.mode == Mode::kOff) return Why::kModeOff;
  if (terms.opted_out) return Why::kOptOut;
  if (s.kind == SubmissionKind::kInteractive) return Why::kInteractive;
  if (s.time_min_min) return Why::kTimeMin;
  if (s.warn_signal != 0 || s.warn_time_s != 0) return Why::kSignal;
  if (s.deadline_s) return Why::kDeadline;
  if (!s.reservation.empty()) return Why::kReservation;
  return std::nullopt;
}

// The quantile with the site's margin, rounded up, never under the floor.
double proposed_limit_min(const Prediction& prediction, double level, const Config::Limits& l) {
  const double wanted_min = prediction.quantile_s(level) / 60 * l.margin;
  const double rounded_min = std::ceil(wanted_min / l.round_min) * l.round_min;
  return std::max<double>(rounded_min, l.floor_min);
}

// 1 for the shortest job, 0 for one of a week or more. Source: our choice; a week is the common
// MaxTime, and the log keeps short jobs apart from each other.
int32_t site_factor(const Prediction& prediction, const Config::Order& order) {
  constexpr double kWeekMin = 7 * 24 * 60;
  const double p50_min = prediction.quantile_s(0.5) / 60;
  const double share = order.shape == OrderShape::kLog ? std::log1p(p50_min) / std::log1p(kWeekMin)
                                                       : p50_min / kWeekMin;
  return static_cast<int32_t>(std::lround(order.weight * std::clamp(1 - share, 0.0, 1.0)));
}

// What Slurm would give, where none is asked for.
std::optional<uint32_t> asked_limit_min(const Submission& s, const Config& config,
                                        const Site& site) {
  if (s.time_limit_min || config.limits.when_none_asked == WhenNoneAsked::kLeave) {
    return s.time_limit_min;
  }
  const auto names = partition_names(site, s.partition);
  const Partition* only = names.size() == 1 ? find_partition(site, names[0]) : nullptr;
  if (only == nullptr) return std::nullopt;
  return only->default_min.value_or(only->max_min);
}

// A shortened job may start in the time that is left before a reservation; then it could not be
// extended over the reservation's begin.
bool could_be_trapped(const Submission& s, uint32_t asked_min, const Site& site) {
  return blockage_between(site, s.partition, s.submit_time_s,
                          s.submit_time_s + 60 * int64_t{asked_min});
}

bool soft_limits_work(const Site& site) {
  // Source: Slurm's release notes; before, time_min cuts the hard limit or spoils the planning.
  constexpr uint32_t kFirst = 25U << 16 | 5U << 8 | 4U;
  return site.soft_limits && site.slurm_version >= kFirst;
}

// guarded without a guard, or before a reservation, only tells the user.
std::optional<Why> not_to_be_shortened(const Submission& s, const Decision& d, const Site& site) {
  if (d.mode == Mode::kSoft && !soft_limits_work(site)) return Why::kSoftRefused;
  if (d.mode != Mode::kGuarded) return std::nullopt;
  if (could_be_trapped(s, *d.asked_min, site)) return Why::kMaintenance;
  if (site.guard_fault) return Why::kGuardDown;
  return std::nullopt;
}

void edit(Decision& d, const Config& config) {
  std::string_view message = config.message.advised;
  if (d.mode == Mode::kGuarded || d.mode == Mode::kHard) {
    d.applied_min = d.edits.time_limit_min = d.proposed_min;
    message = config.message.shortened;
  } else if (d.mode == Mode::kSoft) {
    d.edits.time_min_min = d.proposed_min;
    message = config.message.soft;
  }
  d.edits.message = message_text(message, d);
  d.edits.admin_comment = audit_text(audit_of(d, config.guard.steps));
}

}  // namespace

std::string_view mode_name(Mode mode) {
  switch (mode) {
    case Mode::kOff:
      return "off";
    case Mode::kObserve:
      return "observe";
    case Mode::kAdvise:
      return "advise";
    case Mode::kSoft:
      return "soft";
    case Mode::kGuarded:
      return "guarded";
    case Mode::kHard:
      return "hard";
  }
  return "unknown";
}

std::string_view why_name(Why why) {
  switch (why) {
    case Why::kModeOff:
      return "mode-off";
    case Why::kOptOut:
      return "opt-out";
    case Why::kInteractive:
      return "interactive";
    case Why::kTimeMin:
      return "time-min";
    case Why::kSignal:
      return "signal";
    case Why::kDeadline:
      return "deadline";
    case Why::kReservation:
      return "reservation";
    case Why::kNoModel:
      return "no-model";
    case Why::kNoLimitAsked:
      return "no-limit-asked";
    case Why::kAbovePartition:
      return "above-partition";
    case Why::kNotBelowAsked:
      return "not-below-asked";
    case Why::kSoftRefused:
      return "soft-refused";
    case Why::kMaintenance:
      return "maintenance";
    case Why::kGuardDown:
      return "guard-down";
    case Why::kModel:
      return "model";
  }
  return "unknown";
}

std::optional<Why> why_named(std::string_view name) {
  for (size_t i = 0; i < kWhyCount; ++i) {
    if (why_name(static_cast<Why>(i)) == name) return static_cast<Why>(i);
  }
  return std::nullopt;
}

namespace {

Decision decide_limit(const Submission& submission, const Terms& terms,
                      const Prediction* prediction, const Config& config, const Site& site) {
  Decision d;
  d.mode = terms.mode;
  d.rule = terms.rule;
  d.quantile_level = 1 - terms.risk;
  d.asked_min = d.applied_min = submission.time_limit_min;
  if (prediction != nullptr) d.prediction = *prediction;

  const auto because = [&d](Why why) {
    d.why = why;
    return d;
  };
  if (const auto reason = left_alone(submission, terms)) return because(*reason);
  if (!prediction) return because(Why::kNoModel);
  if (config.order.weight > 0 && d.mode > Mode::kAdvise) {
    d.edits.site_factor = site_factor(*prediction, config.order);
  }
  d.asked_min = d.applied_min = asked_limit_min(submission, config, site);
  if (!d.asked_min) return because(Why::kNoLimitAsked);
  if (*d.asked_min > most_min(site, submission.partition)) return because(Why::kAbovePartition);
  const double proposed_min = proposed_limit_min(*prediction, d.quantile_level, config.limits);
  if (!(proposed_min < *d.asked_min)) return because(Why::kNotBelowAsked);
  d.proposed_min = static_cast<uint32_t>(proposed_min);

  d.why = Why::kModel;
  if (const auto reason = not_to_be_shortened(submission, d, site)) {
    d.why = *reason;
    if (d.why != Why::kGuardDown) return d;
    d.mode = Mode::kAdvise;
  }
  if (d.mode != Mode::kObserve) edit(d, config);
  return d;
}

}  // namespace

Terms terms_of(const Submission& submission, const Config& config, const Site& site) {
  Terms terms = matching_rule(submission, config, site);
  terms.slice.why = MigWhy::kNoModel;
  if (terms.mode == Mode::kOff) return terms;
  const Directives directives = directives_of(submission);
  terms.opted_out = directives.off;
  terms.slice = mig_question(submission, directives, config, site);
  return terms;
}

Decision decide(const Submission& submission, const Terms& terms, const Prediction* prediction,
                const Config& config, const Site& site) {
  Decision d = decide_limit(submission, terms, prediction, config, site);
  advise_slice(submission, terms.slice, config, site, d);
  return d;
}

}  // namespace auspex
