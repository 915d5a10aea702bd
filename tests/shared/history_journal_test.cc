// SPDX-License-Identifier: Apache-2.0
#include "shared/history/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include <cstring>
#include <string>
#include <vector>

#include "shared/history/snapshot.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/past_jobs.h"

namespace auspex {
namespace {

using fixtures::promised_to;
using fixtures::read_file;
using fixtures::synthetic_jobs;
using fixtures::TemporaryFolder;
using fixtures::write_file;
using testing::HasSubstr;

constexpr HistoryCapacity kSmall = {.keys = 40, .in_flight = 25};
constexpr uint64_t kBase = 77;

// Equal histories are equal bytes.
std::string bytes_of(const JobHistory& history) {
  const TemporaryFolder folder;
  EXPECT_TRUE(save_history(history, folder / "h").ok());
  return read_file(folder / "h");
}

std::vector<HistoryEvent> events_of(size_t jobs, uint32_t seed) {
  std::vector<HistoryEvent> events;
  for (const HistoryJob& job : synthetic_jobs(jobs, seed)) {
    events.push_back(
        {EventKind::kSubmitted, Ending::kDone, job.request, 0, 0, 0, promised_to(job)});
    if (job.start_s != 0) {
      events.push_back({EventKind::kStarted, Ending::kDone, job.request, job.start_s, 0, 0, {}});
    }
    events.push_back(
        {EventKind::kEnded, job.ending, job.request, job.start_s, job.end_s, job.runtime_s, {}});
  }
  return events;
}

JobHistory history_of(std::span<const HistoryEvent> events) {
  JobHistory history(kSmall);
  for (const HistoryEvent& event : events) apply(event, history);
  return history;
}

class Journal : public testing::Test {
 protected:
  // A journal of these, written in three pieces.
  std::string written(const std::vector<HistoryEvent>& events) const {
    auto journal = JournalFile::create(path_, kBase);
    EXPECT_TRUE(journal.ok());
    const std::span<const HistoryEvent> all(events);
    const size_t third = events.size() / 3;
    EXPECT_TRUE(journal->append(all.first(third)).ok());
    EXPECT_TRUE(journal->append(all.subspan(third, third)).ok());
    EXPECT_TRUE(journal->append(all.subspan(2 * third)).ok());
    EXPECT_TRUE(journal->sync().ok());
    EXPECT_EQ(journal->records(), events.size());
    return read_file(path_);
  }
  std::string error_of(const std::string& bytes, uint64_t base = kBase) const {
    write_file(path_, bytes);
    JobHistory history(kSmall);
    const auto replayed = replay_journal(path_, base, history);
    return replayed ? "" : replayed.error().message;
  }

  const TemporaryFolder folder_;
  const std::string path_ = folder_ / "journal";
};

TEST_F(Journal, BringsTheHistoryBackBitForBit) {
  const auto events = events_of(300, 1);
  written(events);
  JobHistory history(kSmall);
  const auto replayed = replay_journal(path_, kBase, history);
  ASSERT_TRUE(replayed.ok()) << replayed.error().message;
  EXPECT_EQ(replayed->events, events.size());
  EXPECT_EQ(replayed->dropped_bytes, 0U);
  EXPECT_TRUE(bytes_of(history) == bytes_of(history_of(events)));
  EXPECT_GT(history.calibration().jobs(), 100U) << "promises come back too";
}

TEST_F(Journal, GoesOnFromASavedHistory) {
  const auto events = events_of(300, 2);
  const std::span<const HistoryEvent> all(events);
  const std::string saved = folder_ / "state";
  EXPECT_EQ(*journal_base_of(saved), 0U);
  ASSERT_TRUE(save_history(history_of(all.first(200)), saved).ok());
  const auto base = journal_base_of(saved);
  ASSERT_TRUE(base.ok());
  EXPECT_NE(*base, 0U);
  auto journal = JournalFile::create(path_, *base);
  ASSERT_TRUE(journal->append(all.subspan(200)).ok());
  auto history = load_history(saved, kSmall);
  ASSERT_TRUE(replay_journal(path_, *base, *history).ok());
  EXPECT_TRUE(bytes_of(*history) == bytes_of(history_of(all)));
}

TEST_F(Journal, ATornTailIsDroppedWhereverItIsTorn) {
  const std::string whole = written(events_of(2, 3));
  const size_t records = (whole.size() - kJournalHeaderBytes) / kJournalRecordBytes;
  ASSERT_GE(records, 4U);
  for (size_t size = 0; size < whole.size(); ++size) {
    write_file(path_, whole.substr(0, size));
    JobHistory history(kSmall);
    const auto replayed = replay_journal(path_, kBase, history);
    ASSERT_EQ(replayed.ok(), size >= kJournalHeaderBytes) << size;
    if (!replayed) continue;
    EXPECT_EQ(replayed->events, (size - kJournalHeaderBytes) / kJournalRecordBytes);
    EXPECT_EQ(replayed->dropped_bytes, (size - kJournalHeaderBytes) % kJournalRecordBytes);
  }
}

TEST_F(Journal, NothingCountsFromAnAlteredRecordOn) {
  const auto events = events_of(3, 4);
  const std::string whole = written(events);
  for (size_t at = kJournalHeaderBytes; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    write_file(path_, bytes);
    JobHistory history(kSmall);
    const auto replayed = replay_journal(path_, kBase, history);
    ASSERT_TRUE(replayed.ok());
    EXPECT_EQ(replayed->events, (at - kJournalHeaderBytes) / kJournalRecordBytes) << at;
  }
}

TEST_F(Journal, ARecordInAnothersPlaceDoesNotCount) {
  const std::string whole = written(events_of(3, 4));
  const std::string first = whole.substr(kJournalHeaderBytes, kJournalRecordBytes);
  write_file(path_, whole.substr(0, kJournalHeaderBytes) + first + first);
  JobHistory history(kSmall);
  EXPECT_EQ(replay_journal(path_, kBase, history)->events, 1U);
}

TEST_F(Journal, SaysWhyItIsRefused) {
  const std::string whole = written(events_of(1, 5));
  const auto with = [&whole](size_t at, uint32_t number) {
    std::string bytes = whole;
    std::memcpy(bytes.data() + at, &number, sizeof(number));
    return bytes;
  };
  EXPECT_EQ(error_of(whole), "");
  EXPECT_EQ(error_of(whole, kBase + 1), path_ + ": goes on from another saved history");
  EXPECT_EQ(error_of(with(8, 9)), path_ + ": journal version 9, this build reads 2");
  EXPECT_THAT(error_of(with(12, 9)), HasSubstr("feature version 9"));
  EXPECT_EQ(error_of(with(16, 9)), path_ + ": altered: its header");
  EXPECT_EQ(error_of(with(0, 9)), path_ + ": not an Auspex journal");
  EXPECT_THAT(error_of(""), HasSubstr("truncated: 0 bytes"));
  JobHistory history(kSmall);
  EXPECT_EQ(replay_journal(folder_ / "none", 0, history).error().message,
            (folder_ / "none") + ": No such file or directory");
  EXPECT_THAT(replay_journal(folder_.path(), 0, history).error().message,
              HasSubstr("not a regular file"));
}

}  // namespace
}  // namespace auspex
