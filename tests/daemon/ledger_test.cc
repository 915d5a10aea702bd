// SPDX-License-Identifier: Apache-2.0
#include "daemon/ledger/ledger.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <memory>

#include "daemon/ledger/story.h"
#include "tests/fixtures/files.h"

namespace auspex {
namespace {

using fixtures::TemporaryFolder;
using fixtures::write_file;

constexpr int64_t kSubmit_s = 1'800'000'000;

DecisionEntry decision(DecisionNumber number) {
  DecisionEntry e;
  e.number = number;
  e.user = 1000;
  e.partition = "cpu";
  e.mode = "guarded";
  e.why = "model";
  e.rule = 2;
  e.asked_min = 1440;
  e.proposed_min = e.applied_min = 190;
  e.site_factor = -5;
  e.level = .9;
  e.p50_s = 6720;
  e.quantile_s = 11'000;
  e.model = "1f3a";
  e.slice = {"applied", "2g.10gb", "2g.10gb", "a100-40gb", 4615, 6190, .1};
  return e;
}

JobEntry job(EventKind kind, DecisionNumber number) {
  JobEntry e;
  e.kind = kind;
  e.decision = number;
  e.job_id = 7;
  e.user = 1000;
  e.partition = "cpu";
  e.account = "bio";
  e.admin_comment =
      "auspex:1 asked=1440 applied=190 p50=112 q=0.9 mode=guarded model=1f3a why=model"
      " auspex-mig:1 asked=gres:gpu:1 applied=gres:gpu:2g.10gb:1 memory=4615";
  e.submit_s = kSubmit_s;
  e.start_s = kSubmit_s + 60;
  e.end_s = kSubmit_s + 660;
  e.runtime_s = 600;
  return e;
}

const LimitChange kExtension = {7, ChangeKind::kExtended, kSubmit_s + 300, 190, 607};

class Ledgers : public testing::Test {
 protected:
  Ledgers() : number(kSubmit_s * 1'000'000) {}
  void open() {
    LedgerOptions options;
    options.path = path;
    options.warn = [this](const std::string&) { ++warnings; };
    ledger = std::make_unique<Ledger>(std::move(options));
  }
  std::optional<Story> story() {
    auto read = read_story(path, 7);
    EXPECT_TRUE(read.ok()) << read.error().message;
    return read ? *read : std::nullopt;
  }
  void live_through() {
    ledger->add(decision(number));
    ledger->add(job(EventKind::kSubmitted, number));
    ledger->add(job(EventKind::kStarted, number));
    ledger->add(kExtension);
    ledger->add(job(EventKind::kEnded, number));
  }
  TemporaryFolder folder;
  std::string path = folder / "ledger.db";
  DecisionNumber number;
  std::atomic<int> warnings{0};
  std::unique_ptr<Ledger> ledger;
};

TEST_F(Ledgers, TellsAJobFromItsSubmissionToItsEnd) {
  open();
  live_through();
  ledger.reset();
  const auto told = story();
  ASSERT_TRUE(told);
  EXPECT_FALSE(told->from_audit);
  EXPECT_EQ(told->decision.number, number);
  EXPECT_EQ(told->decision.rule, 2);
  EXPECT_EQ(told->decision.asked_min, 1440U);
  EXPECT_EQ(told->decision.applied_min, 190U);
  EXPECT_EQ(told->decision.site_factor, -5);
  EXPECT_EQ(told->decision.p50_s, 6720);
  EXPECT_EQ(told->decision.slice, decision(number).slice);
  EXPECT_EQ(told->decision.account, "bio") << "as it is in the job's record";
  EXPECT_EQ(told->submit_s, kSubmit_s);
  EXPECT_EQ(told->start_s, kSubmit_s + 60);
  EXPECT_EQ(told->end_s, kSubmit_s + 660);
  EXPECT_EQ(told->runtime_s, 600);
  EXPECT_EQ(told->ending, "done");
  const Story::Change extension = {kSubmit_s + 300, "extended", 190, 607};
  EXPECT_EQ(told->changes, std::vector{extension});
  EXPECT_EQ(warnings, 0);
}

TEST_F(Ledgers, GoesOnWhereItWas) {
  open();
  ledger->add(decision(number));
  ledger->add(job(EventKind::kSubmitted, number));
  ledger.reset();
  open();
  ledger->add(job(EventKind::kEnded, 0));  // after a restart nobody knows the decision's number
  ledger.reset();
  EXPECT_EQ(story()->decision.number, number);
  EXPECT_EQ(story()->runtime_s, 600);
}

TEST_F(Ledgers, FillsAgainFromTheAudit) {
  open();
  ledger->add(job(EventKind::kStarted, 0));
  ledger->add(kExtension);
  ledger->add(job(EventKind::kEnded, 0));
  ledger.reset();
  const auto told = story();
  ASSERT_TRUE(told);
  EXPECT_TRUE(told->from_audit);
  EXPECT_EQ(told->decision.asked_min, 1440U);
  EXPECT_EQ(told->decision.applied_min, 190U);
  EXPECT_EQ(told->decision.p50_s, 6720);
  EXPECT_EQ(told->decision.mode, "guarded");
  EXPECT_EQ(told->decision.slice.why, "applied");
  EXPECT_EQ(told->decision.slice.type, "2g.10gb");
  EXPECT_EQ(told->decision.slice.memory_mib, 4615);
  EXPECT_FALSE(told->decision.slice.headroom) << "that the audit does not say";
  EXPECT_EQ(told->changes.size(), 1U);
  EXPECT_EQ(told->ending, "done");
}

TEST_F(Ledgers, AJobWithoutADecisionHasAStoryToo) {
  open();
  JobEntry bare = job(EventKind::kEnded, 0);
  bare.admin_comment.clear();
  ledger->add(bare);
  ledger.reset();
  EXPECT_EQ(story()->decision.mode, "");
  EXPECT_EQ(story()->runtime_s, 600);
}

TEST_F(Ledgers, AnAnswerThatCameTooLateWasNotApplied) {
  open();
  ledger->add(decision(number));
  JobEntry bare = job(EventKind::kSubmitted, number);
  bare.admin_comment.clear();
  ledger->add(bare);
  ledger.reset();
  EXPECT_EQ(story()->decision.applied_min, 1440U);
  EXPECT_EQ(story()->decision.proposed_min, 190U);
  EXPECT_EQ(story()->decision.slice.type, "") << "the slice neither";
  EXPECT_EQ(story()->decision.slice.profile, "2g.10gb");
}

TEST_F(Ledgers, WhatIsOnlyAdvisedNeedsNoAudit) {
  open();
  DecisionEntry advised = decision(number);
  advised.slice.why = "advised";
  ledger->add(advised);
  JobEntry bare = job(EventKind::kSubmitted, number);
  bare.admin_comment.clear();
  ledger->add(bare);
  ledger.reset();
  EXPECT_EQ(story()->decision.slice, advised.slice);
}

TEST_F(Ledgers, ADeletedFileBeginsAnew) {
  open();
  ledger->add(decision(number));
  ledger->add(job(EventKind::kSubmitted, number));
  const auto is_written = [this] {
    const auto told = read_story(path, 7);
    return told && told->has_value();
  };
  while (!is_written()) ::usleep(1000);
  for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((path + suffix).c_str());
  ledger->add(job(EventKind::kEnded, number));
  ledger.reset();
  const auto told = story();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->runtime_s, 600);
  EXPECT_EQ(told->decision.asked_min, 1440U) << "from the audit";
}

TEST_F(Ledgers, AFileThatIsNoneIsToldOfOnceAndLeftAsItIs) {
  write_file(path, "not a database, but a text of somebody\n");
  open();
  live_through();
  ledger.reset();
  EXPECT_EQ(warnings, 1);
  EXPECT_FALSE(read_story(path, 7).ok());
  EXPECT_EQ(fixtures::read_file(path), "not a database, but a text of somebody\n");
}

TEST_F(Ledgers, AnotherVersionIsLeftAlone) {
  {
    auto database = Database::open(path);
    ASSERT_TRUE(database->run("PRAGMA user_version=9; CREATE TABLE jobs (a);").ok());
  }
  const auto refused = LedgerFile::open(path);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, path + ": ledger version 9, this build writes 2");
}

// As the first version made it, with a job in it.
void write_first_version(const std::string& path) {
  auto database = Database::open(path);
  ASSERT_TRUE(database.ok());
  const Status made = database->run(R"(
PRAGMA journal_mode=WAL;
CREATE TABLE jobs (
  decision INTEGER PRIMARY KEY, job_id INTEGER, array_id INTEGER, uid INTEGER,
  partition TEXT, account TEXT, qos TEXT, mode TEXT, rule INTEGER, why TEXT,
  asked_min INTEGER, proposed_min INTEGER, applied_min INTEGER, site_factor INTEGER,
  level REAL, p50_s REAL, quantile_s REAL, model TEXT, features INTEGER, latency_us REAL,
  submit_s INTEGER, start_s INTEGER, end_s INTEGER, runtime_s REAL, ending TEXT);
CREATE INDEX jobs_by_id ON jobs (job_id);
CREATE TABLE changes (job_id INTEGER, at_s INTEGER, kind TEXT, from_min INTEGER, to_min INTEGER);
CREATE INDEX changes_by_id ON changes (job_id);
INSERT INTO jobs (decision, job_id, mode, why, asked_min, applied_min)
  VALUES (1800000000000001, 3, 'guarded', 'model', 600, 60);
PRAGMA user_version=1;)");
  ASSERT_TRUE(made.ok()) << made.error().message;
}

TEST_F(Ledgers, OneOfTheFirstVersionIsToldAndBroughtUpToDate) {
  write_first_version(path);
  const auto is_told = [this] {
    const auto old = read_story(path, 3);
    ASSERT_TRUE(old.ok() && *old);
    EXPECT_EQ((*old)->decision.applied_min, 60U);
    EXPECT_EQ((*old)->decision.slice, SliceEntry{});
  };
  is_told();  // before a daemon has opened it
  open();
  live_through();
  ledger.reset();
  EXPECT_EQ(warnings, 0);
  is_told();
  EXPECT_EQ(story()->decision.slice, decision(number).slice);
  EXPECT_EQ(Database::open(path)->version().value(), kLedgerVersion);
  open();  // and once more
  ledger.reset();
  EXPECT_EQ(warnings, 0);
}

TEST_F(Ledgers, WhatCannotBeBroughtUpToDateStaysAsItWas) {
  {
    auto database = Database::open(path);
    ASSERT_TRUE(database->run("PRAGMA user_version=1; CREATE TABLE jobs (headroom);").ok());
  }
  ASSERT_FALSE(LedgerFile::open(path).ok());
  auto database = Database::open(path);
  EXPECT_EQ(database->version().value(), 1);
  EXPECT_FALSE(Statement::prepare(*database, "SELECT card FROM jobs").ok());
}

TEST_F(Ledgers, ForgetsWhatIsOld) {
  auto file = LedgerFile::open(path);
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_TRUE(file->write({decision(number), job(EventKind::kEnded, number), kExtension}).ok());
  ASSERT_TRUE(file->forget_before(number).ok());
  EXPECT_TRUE(story());
  ASSERT_TRUE(file->forget_before(number + 1).ok());
  EXPECT_FALSE(story());
}

TEST_F(Ledgers, NumbersNeverRepeat) {
  open();
  DecisionNumber last = 0;
  for (int i = 0; i < 100'000; ++i) {
    const DecisionNumber next = ledger->next_number();
    ASSERT_GT(next, last);
    last = next;
  }
}

TEST_F(Ledgers, WithoutAPathNothingIsKept) {
  Ledger none({});
  none.add(decision(number));
  EXPECT_EQ(none.lost(), 0U);
}

}  // namespace
}  // namespace auspex
