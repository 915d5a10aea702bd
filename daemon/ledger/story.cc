// SPDX-License-Identifier: Apache-2.0
#include "daemon/ledger/story.h"

#include "daemon/ledger/database.h"

namespace auspex {
namespace {

template <class To>
std::optional<To> as(const std::optional<int64_t>& value) {
  return value ? std::optional<To>(static_cast<To>(*value)) : std::nullopt;
}

// What stands in a file of the first version.
constexpr const char* kColumns =
    "decision, uid, partition, account, qos, mode, rule, why, asked_min, proposed_min,"
    " applied_min, site_factor, level, p50_s, quantile_s, model, submit_s, start_s, end_s,"
    " runtime_s, ending";
// And since the second.
constexpr const char* kSliceColumns =
    ", slice_why, slice_type, slice_profile, card, memory_mib, memory_upper_mib, headroom";
constexpr int kSlice = 21;  // the first of them

SliceEntry slice_of(const Statement& row) {
  return {.why = row.text(kSlice),
          .type = row.text(kSlice + 1),
          .profile = row.text(kSlice + 2),
          .card = row.text(kSlice + 3),
          .memory_mib = row.real(kSlice + 4),
          .memory_upper_mib = row.real(kSlice + 5),
          .headroom = row.real(kSlice + 6)};
}

Story story_of(const Statement& row, uint32_t job_id) {
  Story story;
  story.job_id = job_id;
  DecisionEntry& d = story.decision;
  d.number = row.integer(0).value_or(0);
  d.user = as<uint32_t>(row.integer(1)).value_or(0);
  d.partition = row.text(2);
  d.account = row.text(3);
  d.qos = row.text(4);
  d.mode = row.text(5);
  story.from_audit = !row.integer(6);
  d.rule = as<int>(row.integer(6)).value_or(-1);
  d.why = row.text(7);
  d.asked_min = as<uint32_t>(row.integer(8));
  d.proposed_min = as<uint32_t>(row.integer(9));
  d.applied_min = as<uint32_t>(row.integer(10));
  d.site_factor = as<int32_t>(row.integer(11));
  d.level = row.real(12).value_or(0);
  d.p50_s = row.real(13);
  d.quantile_s = row.real(14);
  d.model = row.text(15);
  story.submit_s = row.integer(16);
  story.start_s = row.integer(17);
  story.end_s = row.integer(18);
  story.runtime_s = row.real(19);
  story.ending = row.text(20);
  return story;
}

}  // namespace

Result<std::optional<Story>> read_story(const std::string& path, uint32_t job_id) {
  const auto failed = [&path](const Error& error) { return Error{path + ": " + error.message}; };
  const Result<Database> database = Database::open_to_read(path);
  if (!database) return database.error();
  const Result<int64_t> version = database->version();
  if (!version) return failed(version.error());
  const bool has_slices = *version >= 2;
  auto jobs = Statement::prepare(
      *database, std::string("SELECT ") + kColumns + (has_slices ? kSliceColumns : "") +
                     " FROM jobs WHERE job_id=? ORDER BY decision DESC LIMIT 1");
  if (!jobs) return failed(jobs.error());
  const Result<bool> found = jobs->with(job_id).step();
  if (!found) return failed(found.error());
  if (!*found) return std::optional<Story>();
  Story story = story_of(*jobs, job_id);
  if (has_slices) story.decision.slice = slice_of(*jobs);

  auto changes = Statement::prepare(
      *database,
      "SELECT at_s, kind, from_min, to_min FROM changes WHERE job_id=? AND at_s >= ?"
      " ORDER BY at_s, rowid");
  if (!changes) return failed(changes.error());
  changes->with(job_id, story.submit_s.value_or(0));
  for (;;) {
    const Result<bool> more = changes->step();
    if (!more) return failed(more.error());
    if (!*more) break;
    Story::Change change = {changes->integer(0).value_or(0), changes->text(1),
                            as<uint32_t>(changes->integer(2)).value_or(0),
                            as<uint32_t>(changes->integer(3)).value_or(0)};
    // A guard that was started again finds once more what others have done.
    const bool again = !story.changes.empty() && story.changes.back().kind == change.kind &&
                       story.changes.back().to_min == change.to_min;
    if (!again) story.changes.push_back(std::move(change));
  }
  return std::optional(std::move(story));
}

}  // namespace auspex
