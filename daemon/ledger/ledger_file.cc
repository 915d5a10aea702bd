// SPDX-License-Identifier: Apache-2.0
#include "daemon/ledger/ledger_file.h"

#include <sys/stat.h>

#include <iterator>

#include "shared/audit.h"
#include "shared/slice_audit.h"

namespace auspex {
namespace {

// What makes a file of each version one of the next, from none on. `decision` is in microseconds;
// other times end in _s and count seconds since the epoch.
constexpr const char* kSteps[] = {
    R"(
CREATE TABLE IF NOT EXISTS jobs (
  decision INTEGER PRIMARY KEY, job_id INTEGER, array_id INTEGER, uid INTEGER,
  partition TEXT, account TEXT, qos TEXT, mode TEXT, rule INTEGER, why TEXT,
  asked_min INTEGER, proposed_min INTEGER, applied_min INTEGER, site_factor INTEGER,
  level REAL, p50_s REAL, quantile_s REAL, model TEXT, features INTEGER, latency_us REAL,
  submit_s INTEGER, start_s INTEGER, end_s INTEGER, runtime_s REAL, ending TEXT);
CREATE INDEX IF NOT EXISTS jobs_by_id ON jobs (job_id);
CREATE TABLE IF NOT EXISTS changes (
  job_id INTEGER, at_s INTEGER, kind TEXT, from_min INTEGER, to_min INTEGER);
CREATE INDEX IF NOT EXISTS changes_by_id ON changes (job_id);
)",
    R"(
ALTER TABLE jobs ADD COLUMN slice_why TEXT;
ALTER TABLE jobs ADD COLUMN slice_type TEXT;
ALTER TABLE jobs ADD COLUMN slice_profile TEXT;
ALTER TABLE jobs ADD COLUMN card TEXT;
ALTER TABLE jobs ADD COLUMN memory_mib REAL;
ALTER TABLE jobs ADD COLUMN memory_upper_mib REAL;
ALTER TABLE jobs ADD COLUMN headroom REAL;
)"};
static_assert(std::size(kSteps) == kLedgerVersion);

enum Sql { kDecide, kName, kFind, kEnter, kStart, kEnd, kChange };
constexpr const char* kSql[] = {
    "INSERT OR IGNORE INTO jobs (decision, uid, partition, account, qos, mode, rule, why,"
    " asked_min, proposed_min, applied_min, site_factor, level, p50_s, quantile_s, model, features,"
    " latency_us, slice_why, slice_type, slice_profile, card, memory_mib, memory_upper_mib,"
    " headroom) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    "UPDATE jobs SET job_id=?, array_id=?, partition=?, account=?, qos=?, submit_s=?,"
    " applied_min=CASE WHEN ? THEN applied_min ELSE asked_min END,"
    " slice_type=CASE WHEN ? OR slice_why IS NOT 'applied' THEN slice_type ELSE '' END"
    " WHERE decision=?",
    "SELECT decision FROM jobs WHERE job_id=? AND abs(submit_s - ?) <= 2",
    "INSERT OR IGNORE INTO jobs (decision, job_id, array_id, uid, partition, account, qos, mode,"
    " why, asked_min, applied_min, level, p50_s, model, submit_s, slice_why, slice_type,"
    " memory_mib) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    "UPDATE jobs SET start_s=? WHERE decision=?",
    "UPDATE jobs SET start_s=?, end_s=?, runtime_s=?, ending=? WHERE decision=?",
    "INSERT INTO changes (job_id, at_s, kind, from_min, to_min) VALUES (?,?,?,?,?)",
};

const char* ending_name(Ending ending) {
  switch (ending) {
    case Ending::kDone:
      return "done";
    case Ending::kFailed:
      return "failed";
    case Ending::kAtLimit:
      return "at-limit";
  }
  return "";
}

uint64_t inode_of(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

template <class T>
std::optional<T> if_any(const std::optional<Audit>& audit, T Audit::*member) {
  return audit ? std::optional<T>((*audit).*member) : std::nullopt;
}

}  // namespace

Result<LedgerFile> LedgerFile::open(const std::string& path) {
  Result<Database> database = Database::open(path);
  if (!database) return database.error();
  LedgerFile file(path, std::move(*database));
  Status ready = file.prepare();
  if (!ready) return Error{path + ": " + ready.error().message};
  return file;
}

Status LedgerFile::prepare() {
  Status set = database_.run("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;");
  if (!set) return set;
  if (Status made = bring_up_to_date(); !made) return made;
  for (const char* sql : kSql) {
    auto statement = Statement::prepare(database_, sql);
    if (!statement) return statement.error();
    statements_.push_back(std::move(*statement));
  }
  inode_ = inode_of(path_);
  return Done{};
}

// All steps or none: a file that was left half-way would be of no version.
Status LedgerFile::bring_up_to_date() {
  const Result<int64_t> found = database_.version();
  if (!found) return found.error();
  if (*found == kLedgerVersion) return Done{};
  if (*found < 0 || *found > kLedgerVersion) {
    return Error{"ledger version " + std::to_string(*found) + ", this build writes " +
                 std::to_string(kLedgerVersion)};
  }
  std::string steps = "BEGIN IMMEDIATE;";
  for (int64_t version = *found; version < kLedgerVersion; ++version) steps += kSteps[version];
  steps += "PRAGMA user_version=" + std::to_string(kLedgerVersion) + "; COMMIT;";
  Status made = database_.run(steps);
  if (!made) (void)database_.run("ROLLBACK");
  return made;
}

bool LedgerFile::replaced() const {
  return inode_of(path_) != inode_;
}

Status LedgerFile::write(const std::vector<LedgerEntry>& entries) {
  if (Status begun = database_.run("BEGIN IMMEDIATE"); !begun) return begun;
  for (const LedgerEntry& entry : entries) {
    Status written = std::visit([this](const auto& e) { return write(e); }, entry);
    if (!written) {
      (void)database_.run("ROLLBACK");
      return written;
    }
  }
  Status committed = database_.run("COMMIT");
  if (!committed) (void)database_.run("ROLLBACK");
  return committed;
}

Status LedgerFile::write(const DecisionEntry& e) {
  return statements_[kDecide]
      .with(e.number, e.user, e.partition, e.account, e.qos, e.mode, e.rule, e.why, e.asked_min,
            e.proposed_min, e.applied_min, e.site_factor, e.level, e.p50_s, e.quantile_s, e.model,
            e.features, e.latency_us, e.slice.why, e.slice.type, e.slice.profile, e.slice.card,
            e.slice.memory_mib, e.slice.memory_upper_mib, e.slice.headroom)
      .run();
}

Status LedgerFile::write(const JobEntry& e) {
  const Result<DecisionNumber> row = row_of(e);
  if (!row) return row.error();
  if (e.kind == EventKind::kStarted) return statements_[kStart].with(e.start_s, *row).run();
  if (e.kind != EventKind::kEnded) return Done{};
  std::optional<int64_t> start_s;
  if (e.runtime_s > 0) start_s = e.start_s;
  return statements_[kEnd].with(start_s, e.end_s, e.runtime_s, ending_name(e.ending), *row).run();
}

Result<DecisionNumber> LedgerFile::row_of(const JobEntry& e) {
  // Without an audit the answer came too late or was refused: the job has what its user asked for.
  if (e.decision != 0) {
    Status named =
        statements_[kName]
            .with(e.job_id, e.array_id, e.partition, e.account, e.qos, e.submit_s,
                  static_cast<int64_t>(find_audit(e.admin_comment).has_value()),
                  static_cast<int64_t>(find_slice_audit(e.admin_comment).has_value()), e.decision)
            .run();
    if (!named) return named.error();
    if (database_.changed_rows() > 0) return e.decision;
  }
  Statement& find = statements_[kFind].with(e.job_id, e.submit_s);
  const Result<bool> found = find.step();
  if (!found) return found.error();
  const std::optional<int64_t> known = *found ? find.integer(0) : std::nullopt;
  find.with();
  if (known) return *known;
  const DecisionNumber number =
      e.decision != 0 ? e.decision : e.submit_s * 1'000'000 + e.job_id % 1'000'000;
  if (Status entered = enter_from_audit(e, number); !entered) return entered.error();
  return number;
}

Status LedgerFile::enter_from_audit(const JobEntry& e, DecisionNumber number) {
  const auto audit = find_audit(e.admin_comment);
  std::optional<double> p50_s;
  if (audit) p50_s = 60 * audit->p50_min;
  const SliceEntry slice = slice_entry(e.admin_comment);
  return statements_[kEnter]
      .with(number, e.job_id, e.array_id, e.user, e.partition, e.account, e.qos,
            audit ? std::optional(std::string(mode_name(audit->mode))) : std::nullopt,
            if_any(audit, &Audit::why), if_any(audit, &Audit::asked_min),
            if_any(audit, &Audit::applied_min), if_any(audit, &Audit::level), p50_s,
            if_any(audit, &Audit::model), e.submit_s, slice.why, slice.type, slice.memory_mib)
      .run();
}

Status LedgerFile::write(const LimitChange& e) {
  return statements_[kChange]
      .with(e.job_id, e.at_s, std::string(change_name(e.kind)), e.from_min, e.to_min)
      .run();
}

Status LedgerFile::forget_before(DecisionNumber number) {
  const std::string before = std::to_string(number);
  return database_.run("DELETE FROM jobs WHERE decision < " + before +
                       "; DELETE FROM changes WHERE at_s < " + std::to_string(number / 1'000'000) +
                       ";");
}

}  // namespace auspex
