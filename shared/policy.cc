// SPDX-License-Identifier: Apache-2.0
#include "shared/policy.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "shared/units.h"

namespace auspex {
namespace {

bool matches(const std::vector<std::string>& patterns, const std::string& value) {
  return patterns.empty() ||
         std::any_of(patterns.begin(), patterns.end(), [&value](const std::string& pattern) {
           return fnmatch(pattern.c_str(), value.c_str(), 0) == 0;
         });
}

bool matches(const RuleMatch& match, const Submission& s) {
  return matches(match.partition, s.partition) && matches(match.account, s.account) &&
         matches(match.user, s.user) && matches(match.qos, s.qos) && matches(match.name, s.name);
}

struct Choice {
  Mode mode;
  double risk;
  int rule;
};

Choice choose(const Submission& submission, const Config& config) {
  for (size_t i = 0; i < config.rules.size(); ++i) {
    const Rule& rule = config.rules[i];
    if (matches(rule.match, submission)) {
      return {rule.mode, rule.risk.value_or(config.risk), static_cast<int>(i)};
    }
  }
  return {config.mode, config.risk, -1};
}

// What the user decided, and what has a meaning of its own for the limit, is not ours to change.
std::optional<Why> left_alone(const Submission& s, Mode mode) {
  if (mode == Mode::kOff) return Why::kModeOff;
  if (directives_of(s).off) return Why::kOptOut;
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

std::string audit(const Decision& d) {
  char text[200];
  const double p50_min = d.prediction->quantile_s(0.5) / 60;
  std::snprintf(text, sizeof(text),
                "auspex:1 asked=%u applied=%u p50=%.0f q=%.4g mode=%s model=%s why=%s",
                *d.asked_min, *d.applied_min, p50_min, d.quantile_level,
                std::string(mode_name(d.mode)).c_str(), d.prediction->model.c_str(),
                std::string(why_name(d.why)).c_str());
  return text;
}

std::string share_text(double level) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.4g %%", 100 * level);
  return text;
}

std::string message(const Decision& d) {
  const std::string asked = format_time_limit(*d.asked_min);
  const std::string proposed = format_time_limit(*d.proposed_min);
  const std::string reason =
      share_text(d.quantile_level) + " of jobs like this one are predicted to end within it";
  if (!d.changed()) {
    return "auspex: a time limit of " + proposed + " instead of " + asked + " would do: " + reason;
  }
  return "auspex: time limit " + asked + " -> " + proposed + ": " + reason +
         " (keep yours with: #AUSPEX off)";
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
    case Why::kNoLimitAsked:
      return "no-limit-asked";
    case Why::kNoModel:
      return "no-model";
    case Why::kSoftRefused:
      return "soft-refused";
    case Why::kNotBelowAsked:
      return "not-below-asked";
    case Why::kModel:
      return "model";
  }
  return "unknown";
}

Decision decide(const Submission& submission, const Prediction* prediction, const Config& config) {
  Decision d;
  const Choice choice = choose(submission, config);
  d.mode = choice.mode;
  d.rule = choice.rule;
  d.quantile_level = 1 - choice.risk;
  d.asked_min = d.applied_min = submission.time_limit_min;
  if (prediction != nullptr) d.prediction = *prediction;

  const auto because = [&d](Why why) {
    d.why = why;
    return d;
  };
  if (const auto reason = left_alone(submission, d.mode)) return because(*reason);
  if (!prediction) return because(Why::kNoModel);
  if (config.order.weight > 0 && d.mode > Mode::kAdvise) {
    d.edits.site_factor = site_factor(*prediction, config.order);
  }
  if (!d.asked_min) return because(Why::kNoLimitAsked);

  const double proposed_min = proposed_limit_min(*prediction, d.quantile_level, config.limits);
  if (!(proposed_min < *d.asked_min)) return because(Why::kNotBelowAsked);
  d.proposed_min = static_cast<uint32_t>(proposed_min);
  // time_min is a licence to kill before 25.05.4 and without time_min_as_soft_limit, and the
  // daemon cannot see yet which Slurm it serves.
  if (d.mode == Mode::kSoft) return because(Why::kSoftRefused);

  d.why = Why::kModel;
  if (d.mode == Mode::kObserve) return d;
  if (d.mode == Mode::kGuarded || d.mode == Mode::kHard) {
    d.applied_min = d.proposed_min;
    d.edits.time_limit_min = d.proposed_min;
  }
  d.edits.admin_comment = audit(d);
  d.edits.message = message(d);
  return d;
}

}  // namespace auspex
