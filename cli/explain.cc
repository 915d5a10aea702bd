// SPDX-License-Identifier: Apache-2.0
// auspex explain: what was asked, predicted and applied for a job, what became of it, and why.
// From the ledger; where that is not there or may not be read, from the job's record in Slurm.
#include <CLI/CLI.hpp>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/decision_output.h"
#include "cli/or_null.h"
#include "cli/slurm_record.h"
#include "cli/terminal.h"
#include "daemon/ledger/story.h"
#include "shared/units.h"

namespace auspex::cli {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

std::string time_text(int64_t time_s) {
  const auto time = static_cast<time_t>(time_s);
  tm local{};
  localtime_r(&time, &local);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &local);
  return text;
}

std::string seconds_text(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  char text[32];
  std::snprintf(text, sizeof(text), "%s%02ld:%02ld:%02ld",
                whole >= 86'400 ? (std::to_string(whole / 86'400) + "-").c_str() : "",
                static_cast<long>(whole / 3600 % 24), static_cast<long>(whole / 60 % 60),
                static_cast<long>(whole % 60));
  return text;
}

std::string what_happened(const Story::Change& change) {
  const std::string step =
      format_time_limit(change.from_min) + " -> " + format_time_limit(change.to_min);
  if (change.kind == change_name(ChangeKind::kExtended)) {
    return "limit " + step + ": extended by the guard before it expired";
  }
  if (change.kind == change_name(ChangeKind::kGivenBack)) {
    return "limit " + step + ": given back, a reservation was near";
  }
  if (change.kind == change_name(ChangeKind::kSecondLook)) {
    return "limit " + step + ": decided again, as a job like it had ended";
  }
  return "limit " + format_time_limit(change.to_min) +
         ": set by somebody else, and left to them from then on";
}

std::string decided_text(const DecisionEntry& d, bool from_audit) {
  std::string text = "mode " + d.mode;
  if (!from_audit) {
    text += d.rule < 0 ? ", by the default" : ", by rules[" + std::to_string(d.rule) + "]";
  }
  const auto why = why_named(d.why);
  return text + ": " + (why ? explain(*why) : d.why);
}

std::string predicted_text(const DecisionEntry& d) {
  if (!d.p50_s) return "nothing";
  std::string text = "half of such jobs end within " + seconds_text(*d.p50_s);
  if (d.quantile_s) text += ", " + format_share(d.level) + " within " + seconds_text(*d.quantile_s);
  return text + " (model " + d.model + ")";
}

// Nothing for a job that names no model.
void add_slice(const SliceEntry& slice, Fields& fields) {
  const auto why = mig_why_named(slice.why);
  if (!why || *why == MigWhy::kNoModel || *why == MigWhy::kOff) return;
  if (slice.memory_mib) {
    std::string needs = format_whole(*slice.memory_mib) + " MiB";
    if (slice.memory_upper_mib) needs += ", at most " + format_whole(*slice.memory_upper_mib);
    if (slice.headroom) needs += "; " + format_share(*slice.headroom) + " more is to stay free";
    fields.emplace_back("needs", needs);
  }
  std::string what = slice.type.empty() ? slice.profile : slice.type;
  if (what.empty()) {
    what = "none";
  } else {
    if (!slice.profile.empty() && what != slice.profile) what += " (" + slice.profile + ")";
    if (!slice.card.empty()) what += " of " + slice.card;
  }
  const bool missed = *why == MigWhy::kApplied && slice.type.empty();
  what += missed ? ": not what the job got, as the answer came too late or was refused"
                 : std::string(": ") + explain(*why);
  fields.emplace_back("slice", one_line(what));
}

void print_story(const Story& story) {
  const DecisionEntry& d = story.decision;
  std::string owner = "user " + std::to_string(d.user);
  for (const auto& [name, value] : {std::pair{"partition", d.partition}, {"account", d.account}}) {
    if (!value.empty()) owner += std::string(", ") + name + " " + value;
  }
  Fields fields = {{"job", std::to_string(story.job_id) + " (" + one_line(owner) + ")"}};
  fields.emplace_back("submitted", time_text(story.submit_s.value_or(d.number / 1'000'000)));
  fields.emplace_back("asked", limit_text(d.asked_min));
  if (!d.mode.empty()) {
    fields.emplace_back("predicted", one_line(predicted_text(d)));
    fields.emplace_back("decided", one_line(decided_text(d, story.from_audit)));
    fields.emplace_back("applied",
                        d.applied_min == d.asked_min ? "no change" : limit_text(d.applied_min));
  }
  add_slice(d.slice, fields);
  if (d.site_factor) fields.emplace_back("order", "site factor " + std::to_string(*d.site_factor));
  if (story.start_s) fields.emplace_back("started", time_text(*story.start_s));
  for (const Story::Change& change : story.changes) {
    fields.emplace_back(time_text(change.at_s), what_happened(change));
  }
  if (story.end_s) {
    const bool ran = story.runtime_s.value_or(0) > 0;
    fields.emplace_back("ended", time_text(*story.end_s) +
                                     (ran ? ", ran " + seconds_text(*story.runtime_s) : "") + ", " +
                                     one_line(story.ending));
  }
  print_fields(fields);
}

nlohmann::json slice_json(const SliceEntry& slice) {
  if (slice.why.empty()) return nullptr;
  return {{"why", slice.why},
          {"type", or_null(slice.type)},
          {"profile", or_null(slice.profile)},
          {"card", or_null(slice.card)},
          {"memory_mib", or_null(slice.memory_mib)},
          {"memory_upper_mib", or_null(slice.memory_upper_mib)},
          {"headroom", or_null(slice.headroom)}};
}

void print_story_json(const Story& story, const char* source) {
  const DecisionEntry& d = story.decision;
  nlohmann::json changes = nlohmann::json::array();
  for (const Story::Change& change : story.changes) {
    changes.push_back({{"at", change.at_s},
                       {"kind", change.kind},
                       {"from_min", change.from_min},
                       {"to_min", change.to_min}});
  }
  print_json(
      {{"job", story.job_id},
       {"source", source},
       {"user", d.user},
       {"partition", d.partition},
       {"account", d.account},
       {"mode", d.mode},
       {"rule", story.from_audit || d.rule < 0 ? nlohmann::json() : nlohmann::json(d.rule)},
       {"why", d.why},
       {"time_limit_min", {{"asked", or_null(d.asked_min)}, {"applied", or_null(d.applied_min)}}},
       {"p50_min", d.p50_s ? nlohmann::json(*d.p50_s / 60) : nlohmann::json()},
       {"level", d.level},
       {"model", d.model},
       {"site_factor", or_null(d.site_factor)},
       {"slice", slice_json(d.slice)},
       {"submit", or_null(story.submit_s)},
       {"start", or_null(story.start_s)},
       {"end", or_null(story.end_s)},
       {"runtime_s", or_null(story.runtime_s)},
       {"ending", story.ending},
       {"changes", changes}});
}

}  // namespace

int explain_job(const Words& words) {
  std::optional<std::string> config_path;
  std::string job;
  bool json = false;
  CLI::App app("What was asked, predicted and applied for a job, what became of it, and why.",
               "auspex explain");
  app.add_option("JOBID", job, "Slurm's number of the job; of an array's task its own, or 12_3")
      ->required();
  app.add_option("--config", config_path, std::string("configuration; ") + kDefaultConfig);
  app.add_flag("--json", json, "print one JSON object");
  if (const auto code = parse_words(app, words)) return *code;

  const Result<SlurmRecord> record = slurm_record(job);
  const auto job_id = record ? std::optional(record->job_id) : job_number(job);
  if (!job_id) return fail("explain: '" + job + "' is no job's number");
  Words warnings;
  const Result<Config> config = load_config_or_defaults(config_path, warnings);
  if (!config) return fail("explain: " + config.error().message);
  Result<std::optional<Story>> story = std::optional<Story>();
  if (!config->ledger.path.empty()) story = read_story(config->ledger.path, *job_id);
  const bool known = story && *story;
  if (!known && !record) {
    return fail("explain: job " + std::to_string(*job_id) + ": not in the ledger" +
                    (story ? "" : " (" + story.error().message + ")") +
                    ", and Slurm does not know it (" + record.error().message + ")",
                kNo);
  }
  const Story told = known ? **story : story_of(*record);
  if (json) {
    print_story_json(told, known ? "ledger" : "slurm");
  } else {
    print_story(told);
    if (!known) print_fields({{"from", "the job's record in Slurm; the ledger does not know it"}});
  }
  return kDone;
}

}  // namespace auspex::cli
