// SPDX-License-Identifier: Apache-2.0
#include "cli/decision_output.h"

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/or_null.h"
#include "cli/terminal.h"
#include "shared/units.h"

namespace auspex::cli {
namespace {

using nlohmann::json;

double to_cents(double value) {
  return std::round(value * 100) / 100;
}

json prediction_json(const Prediction& prediction) {
  const auto minutes = [&](double level) { return to_cents(prediction.quantile_s(level) / 60); };
  return {{"quantiles_min",
           {{"p50", minutes(.50)},
            {"p90", minutes(.90)},
            {"p95", minutes(.95)},
            {"p99", minutes(.99)}}},
          {"model", prediction.model},
          {"backend", prediction.backend},
          {"latency_us", to_cents(prediction.latency_us)}};
}

// The GRES as the user wrote it, per node, job, socket or task, and as the job would get it.
struct Gres {
  std::string asked, applied;
};

Gres gres_of(const Submission& s, const Edits& e) {
  Gres gres;
  const auto take = [&gres](const std::string& asked, const std::optional<std::string>& edit) {
    if (gres.asked.empty()) gres.asked = asked;
    if (gres.applied.empty()) gres.applied = edit.value_or(asked);
  };
  take(s.tres_per_node, e.tres_per_node);
  take(s.tres_per_job, e.tres_per_job);
  take(s.tres_per_task, e.tres_per_task);
  take(s.tres_per_socket, e.tres_per_socket);
  return gres;
}

json dippm_json(const MigAdvice& mig) {
  if (!mig.need) return nullptr;
  return {{"memory_mib", to_cents(mig.need->memory_mib)},
          {"memory_upper_mib", to_cents(mig.need->memory_upper_mib)},
          {"latency_ms", to_cents(mig.need->latency_ms)},
          {"energy_j", to_cents(mig.need->energy_j)},
          {"mig_profile", or_null(mig.profile)}};
}

std::string need_text(const MigAdvice& mig) {
  char text[160];
  std::snprintf(
      text, sizeof text, "%.0f MiB, at most %.0f; a step takes %.2f ms and %.2f J on a whole card",
      mig.need->memory_mib, mig.need->memory_upper_mib, mig.need->latency_ms, mig.need->energy_j);
  return text;
}

std::string duration_text(double seconds) {
  return format_time_limit(static_cast<uint32_t>(std::ceil(seconds / 60)));
}

}  // namespace

std::string limit_text(const std::optional<uint32_t>& minutes) {
  return minutes ? format_time_limit(*minutes) : "none";
}

const char* explain(MigWhy why) {
  switch (why) {
    case MigWhy::kNoModel:
      return "no model is named";
    case MigWhy::kOff:
      return "mig.mode is off, or mig.model_dirs names no folder";
    case MigWhy::kNoCard:
      return "mig.partitions does not say what card the partition has";
    case MigWhy::kNotOneGpu:
      return "not one GPU is asked for";
    case MigWhy::kTyped:
      return "the user has chosen a type";
    case MigWhy::kNotRead:
      return "nothing is known of the model";
    case MigWhy::kRefused:
      return "the model cannot be read";
    case MigWhy::kTypesUnknown:
      return "the partition has no slices, or they are not known";
    case MigWhy::kNoSlice:
      return "no slice of the partition is large enough";
    case MigWhy::kAdvised:
      return "the user is told";
    case MigWhy::kApplied:
      return "the smallest slice that fits";
  }
  return "unknown";
}

const char* explain(Why why) {
  switch (why) {
    case Why::kModeOff:
      return "the mode is off";
    case Why::kOptOut:
      return "the user opted out (#AUSPEX off)";
    case Why::kInteractive:
      return "interactive jobs are left alone";
    case Why::kTimeMin:
      return "--time-min is given: the user already leaves the limit open";
    case Why::kSignal:
      return "--signal is given: it counts back from the limit";
    case Why::kDeadline:
      return "--deadline is given: it depends on the limit";
    case Why::kReservation:
      return "--reservation is given: the job could not be extended";
    case Why::kNoModel:
      return "there is no model";
    case Why::kNoLimitAsked:
      return "no --time is given: nothing to tighten";
    case Why::kAbovePartition:
      return "the limit asked for is above the partition's: Slurm's to judge";
    case Why::kNotBelowAsked:
      return "the predicted limit is not below the one asked for";
    case Why::kSoftRefused:
      return "mode soft needs Slurm 25.05.4 with time_min_as_soft_limit";
    case Why::kMaintenance:
      return "a reservation begins within the time asked for: the job could start before it and "
             "not "
             "be extended";
    case Why::kGuardDown:
      return "the guard does not stand: the user is only told";
    case Why::kModel:
      return "the model's quantile is below the limit asked for";
  }
  return "unknown";
}

namespace {

std::string predicted_text(const Decision& d) {
  if (!d.prediction) return "nothing: there is no model";
  std::string text;
  for (const auto& [name, level] : {std::pair{"p50", .50}, {"p90", .90}, {"p99", .99}}) {
    text += (text.empty() ? "" : "   ") + std::string(name) + " " +
            duration_text(d.prediction->quantile_s(level));
  }
  return text + "   (model " + one_line(d.prediction->model) + ", " + d.prediction->backend + ")";
}

std::string applied_text(const Decision& d) {
  if (d.changed()) {
    return coloured(limit_text(d.applied_min), Colour::kGreen) + " instead of " +
           limit_text(d.asked_min);
  }
  if (!d.proposed_min) return "no change";
  return "no change (" + coloured(limit_text(d.proposed_min), Colour::kYellow) + " would do)";
}

std::string mode_text(const Decision& d) {
  const std::string origin = d.rule < 0 ? "the default" : "rules[" + std::to_string(d.rule) + "]";
  return std::string(mode_name(d.mode)) + ", by " + origin;
}

}  // namespace

json edits_json(const Submission& submission, const Edits& edits) {
  const Gres gres = gres_of(submission, edits);
  const auto& asked_min = submission.time_limit_min;
  const auto applied_min = edits.time_limit_min ? edits.time_limit_min : asked_min;
  return {{"time_limit_min", {{"asked", or_null(asked_min)}, {"applied", or_null(applied_min)}}},
          {"gres", {{"asked", or_null(gres.asked)}, {"applied", or_null(gres.applied)}}},
          {"site_factor", or_null(edits.site_factor)},
          {"admin_comment", or_null(edits.admin_comment)},
          {"message", or_null(edits.message)},
          {"changed", applied_min != asked_min}};
}

json decision_json(const Submission& submission, const Decision& d) {
  json decision = edits_json(submission, d.edits);
  decision["mode"] = mode_name(d.mode);
  decision["rule"] = d.rule < 0 ? json() : json(d.rule);
  decision["time_limit_min"]["proposed"] = or_null(d.proposed_min);
  decision["why"] = why_name(d.why);
  return {{"decision", std::move(decision)},
          {"prediction", d.prediction ? prediction_json(*d.prediction) : json()},
          {"dippm", dippm_json(d.mig)},
          {"slice", {{"why", mig_why_name(d.mig.why)}, {"type", or_null(d.mig.type)}}}};
}

void print_decision(const Submission& submission, const Decision& d) {
  std::vector<std::pair<std::string, std::string>> fields = {{"asked", limit_text(d.asked_min)},
                                                             {"predicted", predicted_text(d)},
                                                             {"would apply", applied_text(d)}};
  if (d.edits.site_factor) {
    fields.emplace_back("order", "site factor " + std::to_string(*d.edits.site_factor));
  }
  const Gres gres = gres_of(submission, d.edits);
  if (!gres.asked.empty()) {
    const bool same = gres.asked == gres.applied;
    fields.emplace_back("gres", one_line(same ? gres.asked : gres.asked + " -> " + gres.applied));
  }
  if (d.mig.need) fields.emplace_back("model", need_text(d.mig));
  if (d.mig.why != MigWhy::kNoModel && d.mig.why != MigWhy::kOff) {
    const std::string profile = d.mig.profile.empty() ? "none" : d.mig.profile;
    fields.emplace_back("slice", profile + ": " + explain(d.mig.why));
  }
  if (d.edits.message) fields.emplace_back("message", one_line(*d.edits.message));
  fields.emplace_back("mode", mode_text(d));
  fields.emplace_back("why", std::string(why_name(d.why)) + ": " + explain(d.why));
  print_fields(fields);
}

void print_decision_head() {
  std::printf("%-14s %13s %13s %13s %13s  %s\n", "job", "asked", "p50", "p90", "applied", "why");
}

void print_decision_row(const std::string& id, const Decision& d) {
  const auto predicted = [&](double level) {
    return d.prediction ? duration_text(d.prediction->quantile_s(level)) : std::string("-");
  };
  std::printf("%-14s %13s %13s %13s %13s  %s\n", one_line(id).c_str(),
              limit_text(d.asked_min).c_str(), predicted(.50).c_str(), predicted(.90).c_str(),
              limit_text(d.applied_min).c_str(), std::string(why_name(d.why)).c_str());
}

}  // namespace auspex::cli
