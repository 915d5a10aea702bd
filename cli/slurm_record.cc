// SPDX-License-Identifier: Apache-2.0
#include "cli/slurm_record.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <vector>

#include "cli/programs.h"
#include "shared/audit.h"
#include "shared/units.h"

namespace auspex::cli {
namespace {

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(at, begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

// "JobId=12 JobName=... UserId=a(1000) ..." on one line; the name may hold anything, so that keys
// are searched behind the owner.
std::map<std::string, std::string> scontrol_fields(const std::string& text) {
  std::map<std::string, std::string> fields;
  const size_t owner = text.find(" UserId=");
  if (owner == std::string::npos) return fields;
  fields["JobId"] = text.substr(6, text.find(' ') - 6);
  for (const std::string& word : split(text.substr(owner + 1), ' ')) {
    const size_t equals = word.find('=');
    if (equals != std::string::npos)
      fields.emplace(word.substr(0, equals), word.substr(equals + 1));
  }
  const size_t comment = text.find(" AdminComment=", owner);
  if (comment != std::string::npos) {
    const size_t begin = comment + sizeof(" AdminComment=") - 1;
    fields["AdminComment"] = text.substr(begin, text.find(" StdErr=", begin) - begin);
  }
  return fields;
}

std::optional<SlurmRecord> from_scontrol(const std::string& job) {
  const auto text = output_of({"scontrol", "--oneliner", "show", "job", job});
  if (!text) return std::nullopt;
  // Of an array, all that has left it stands there, too.
  const std::vector<std::string> lines = split(*text, '\n');
  const auto own = std::find_if(lines.begin(), lines.end(), [&job](const std::string& line) {
    return line.starts_with("JobId=" + job + " ");
  });
  auto fields = scontrol_fields(own == lines.end() ? lines.front() : *own);
  const auto id = job_number(fields["JobId"]);
  if (!id) return std::nullopt;
  return SlurmRecord{*id,
                     fields["UserId"],
                     fields["Partition"],
                     fields["Account"],
                     fields["JobState"],
                     fields["AdminComment"],
                     fields["SubmitTime"],
                     fields["StartTime"],
                     fields["EndTime"],
                     fields["TimeLimit"]};
}

std::optional<SlurmRecord> from_sacct(const std::string& job) {
  const auto text = output_of({"sacct", "-X", "-n", "-P", "-j", job, "-o",
                               "JobIDRaw,UID,Partition,Account,State,Submit,Start,End,Timelimit,"
                               "AdminComment"});
  if (!text) return std::nullopt;
  const auto parts = split(text->substr(0, text->find('\n')), '|');
  constexpr size_t kColumns = 10;
  const auto id = job_number(parts[0]);
  if (!id || parts.size() < kColumns) return std::nullopt;
  std::string comment = parts[kColumns - 1];
  for (size_t i = kColumns; i < parts.size(); ++i) comment += '|' + parts[i];
  return SlurmRecord{*id,     parts[1], parts[2], parts[3], parts[4],
                     comment, parts[5], parts[6], parts[7], parts[8]};
}

std::optional<int64_t> time_of(const std::string& text) {
  const auto time = parse_timestamp(text);
  return time ? std::optional(*time) : std::nullopt;
}

// "alice(1000)" or "1000".
uint32_t uid_in(const std::string& user) {
  const size_t open = user.find('(');
  const std::string number =
      open == std::string::npos ? user : user.substr(open + 1, user.size() - open - 2);
  return job_number(number).value_or(0);
}

}  // namespace

std::optional<uint32_t> job_number(const std::string& job) {
  uint32_t number = 0;
  const char* end = job.data() + job.size();
  const auto [stop, failure] = std::from_chars(job.data(), end, number);
  if (failure != std::errc() || stop != end) return std::nullopt;
  return number;
}

Result<SlurmRecord> slurm_record(const std::string& job) {
  if (job.empty() || job.find_first_not_of("0123456789_+") != std::string::npos) {
    return Error{"no number"};
  }
  if (auto record = from_scontrol(job)) return *record;
  if (auto record = from_sacct(job)) return *record;
  return Error{"scontrol and sacct tell nothing"};
}

Story story_of(const SlurmRecord& record) {
  Story story;
  story.job_id = record.job_id;
  story.from_audit = true;
  DecisionEntry& d = story.decision;
  d.user = uid_in(record.user);
  d.partition = record.partition;
  d.account = record.account == "(null)" ? "" : record.account;
  story.submit_s = time_of(record.submit);
  if (record.state != "PENDING") story.start_s = time_of(record.start);
  if (record.state != "PENDING" && record.state != "RUNNING") {
    story.end_s = time_of(record.end);
    if (story.start_s && story.end_s) {
      story.runtime_s = static_cast<double>(*story.end_s - *story.start_s);
    }
    story.ending = record.state;
  }
  const auto limit = parse_time_limit_min(record.limit);
  if (limit) d.asked_min = d.applied_min = *limit;
  d.slice = slice_entry(record.admin_comment);
  const auto audit = find_audit(record.admin_comment);
  if (!audit) return story;
  d.mode = mode_name(audit->mode);
  d.why = audit->why;
  d.asked_min = audit->asked_min;
  d.applied_min = audit->applied_min;
  d.p50_s = 60 * audit->p50_min;
  d.level = audit->level;
  d.model = audit->model;
  if (limit && *limit != audit->applied_min && story.submit_s) {
    const bool ours = *limit == audit->limit_min;
    const ChangeKind kind = !ours                 ? ChangeKind::kSomebodyElse
                            : audit->extended > 0 ? ChangeKind::kExtended
                                                  : ChangeKind::kSecondLook;
    story.changes.push_back({story.start_s.value_or(*story.submit_s),
                             std::string(change_name(kind)), audit->applied_min, *limit});
  }
  return story;
}

}  // namespace auspex::cli
