// SPDX-License-Identifier: Apache-2.0
#include "shared/history/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "shared/history/timeline.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/past_jobs.h"

namespace auspex {
namespace {

using fixtures::job_of;
using fixtures::promised_to;
using fixtures::read_file;
using fixtures::run;
using fixtures::same_bits;
using fixtures::synthetic_jobs;
using fixtures::TemporaryFolder;
using fixtures::view_of;
using fixtures::write_file;
using testing::HasSubstr;
using testing::StartsWith;

constexpr size_t kHeaderBytes = 40, kChecksumAt = 32;
constexpr HistoryCapacity kSmall = {.keys = 40, .in_flight = 25};

std::string bytes_of(const JobHistory& history) {
  const TemporaryFolder folder;
  const Status saved = save_history(history, folder / "h");
  EXPECT_TRUE(saved.ok()) << saved.error().message;
  return read_file(folder / "h");
}

Result<JobHistory> loaded(const std::string& bytes, const HistoryCapacity& capacity) {
  static const TemporaryFolder folder;  // one for all: thousands of files are read
  static size_t files = 0;
  const std::string path = folder / std::to_string(++files);
  write_file(path, bytes);
  Result<JobHistory> history = load_history(path, capacity);
  std::filesystem::remove(path);
  EXPECT_THAT(history.ok() ? path + ": " : history.error().message, StartsWith(path + ": "));
  return history;
}

std::string error_of(const std::string& bytes) {
  const Result<JobHistory> history = loaded(bytes, kSmall);
  return history.ok() ? "" : history.error().message;
}

// As a forger would: length and checksum are right again.
std::string sealed(std::string bytes) {
  const uint64_t payload_bytes = bytes.size() - kHeaderBytes;
  std::memcpy(bytes.data() + 24, &payload_bytes, sizeof(payload_bytes));
  const std::string covered = bytes.substr(kHeaderBytes) + bytes.substr(0, kChecksumAt);
  const uint64_t checksum = XXH3_64bits(covered.data(), covered.size());
  std::memcpy(bytes.data() + kChecksumAt, &checksum, sizeof(checksum));
  return bytes;
}

// The middle of a site's life: keys have made room, jobs queue and run.
JobHistory busy_history(const HistoryCapacity& capacity) {
  JobHistory history(capacity);
  Timeline timeline(history);
  for (const HistoryJob& job : synthetic_jobs(600, 5)) {
    timeline.advance(job.request.submit_s);
    timeline.submit(job, promised_to(job));
  }
  return history;
}

// The capacity is small enough that the orders of touching and of submission decide what is shown.
TEST(HistorySnapshot, ALoadedHistoryGoesOnAsIfItHadNeverBeenSaved) {
  const std::vector<HistoryJob> jobs = synthetic_jobs(2000, 5);
  struct Event {
    int64_t time_s;
    size_t job;
    int what;  // submitted, started, ended
  };
  std::vector<Event> events;
  for (size_t i = 0; i < jobs.size(); ++i) {
    events.push_back({jobs[i].request.submit_s, i, 0});
    if (jobs[i].start_s != 0) events.push_back({jobs[i].start_s, i, 1});
    events.push_back({jobs[i].end_s, i, 2});
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const Event& a, const Event& b) { return a.time_s < b.time_s; });
  JobHistory kept(kSmall);
  JobHistory restored(kSmall);
  const TemporaryFolder folder;
  size_t views = 0, filled = 0;
  for (size_t i = 0; i < events.size(); ++i) {
    const Event& event = events[i];
    const HistoryJob& job = jobs[event.job];
    if (i % 700 == 699) {
      ASSERT_TRUE(save_history(restored, folder / "h").ok());
      Result<JobHistory> history = load_history(folder / "h", kSmall);
      ASSERT_TRUE(history.ok()) << history.error().message;
      restored = std::move(history).value();
      ASSERT_EQ(read_file(folder / "h"), bytes_of(restored)) << "equal histories, equal bytes";
      ASSERT_EQ(read_file(folder / "h"), bytes_of(kept));
    }
    for (JobHistory* history : {&kept, &restored}) {
      if (event.what == 0) history->submitted(job.request, promised_to(job));
      if (event.what == 1) history->started(job.request, job.start_s);
      if (event.what != 2) continue;
      history->ended(job.request, job.start_s, job.end_s, job.runtime_s, job.ending);
    }
    const HistoryView view = view_of(kept, job, event.time_s);
    ASSERT_TRUE(same_bits(view, view_of(restored, job, event.time_s))) << "event " << i;
    ++views;
    filled += std::isnan(view.log_s[15]) ? 0 : 1;
  }
  EXPECT_EQ(kept.jobs(), restored.jobs());
  EXPECT_EQ(kept.newest_s(), restored.newest_s());
  EXPECT_EQ(kept.keys(HistoryKey::kPattern), kSmall.keys) << "keys made room";
  EXPECT_GT(filled, views / 2);
  EXPECT_GT(kept.calibration().jobs(), 1000U);
}

TEST(HistorySnapshot, AnEmptyHistoryIsOneToo) {
  const Result<JobHistory> history = loaded(bytes_of(JobHistory()), {});
  ASSERT_TRUE(history.ok()) << history.error().message;
  EXPECT_EQ(history->jobs(), 0U);
}

TEST(HistorySnapshot, ASmallerCapacityKeepsWhatWasTouchedLast) {
  JobHistory history({.keys = 10, .in_flight = 10});
  for (const std::string user : {"1", "2", "3", "4"}) run(history, job_of(user, "a", 1, 1, 100));
  run(history, job_of("1", "a", 2, 2, 100));
  for (const int64_t second : {10, 11, 12})
    history.submitted(job_of("1", "a", second, 0, 0).request);
  const Result<JobHistory> smaller = loaded(bytes_of(history), {.keys = 2, .in_flight = 2});
  ASSERT_TRUE(smaller.ok()) << smaller.error().message;
  EXPECT_EQ(smaller->keys(HistoryKey::kUser), 2U);
  EXPECT_EQ(smaller->in_flight(), 2U);
  for (const std::string user : {"1", "2", "3", "4"}) {
    const bool forgotten = std::isnan(view_of(*smaller, job_of(user, "a", 20, 0, 0), 20).log_s[0]);
    EXPECT_EQ(forgotten, user == "2" || user == "3") << user;
  }
}

TEST(HistorySnapshot, RefusesATruncatedFile) {
  const std::string bytes = bytes_of(busy_history(kSmall));
  ASSERT_EQ(error_of(bytes), "");
  for (size_t size = 0; size < bytes.size(); size += 97) {
    ASSERT_THAT(error_of(bytes.substr(0, size)), HasSubstr("truncated")) << size;
    if (size < kHeaderBytes) continue;
    ASSERT_THAT(error_of(sealed(bytes.substr(0, size))), HasSubstr("ends too early")) << size;
  }
  EXPECT_THAT(error_of(bytes + "x"), HasSubstr("extended"));
  EXPECT_THAT(error_of(sealed(bytes + "x")), HasSubstr("goes on after its end"));
}

TEST(HistorySnapshot, RefusesAnAlteredByte) {
  const std::string bytes = bytes_of(busy_history({.keys = 5, .in_flight = 5}));
  for (size_t at = 0; at < bytes.size(); at += at < 100 ? 1 : 13) {
    std::string altered = bytes;
    altered[at] = static_cast<char>(altered[at] ^ 4);
    ASSERT_NE(error_of(altered), "") << at;
    if (at < kHeaderBytes) continue;
    ASSERT_THAT(error_of(altered), HasSubstr("altered")) << at;
    // With a checksum that is right again it is a history or an error, never more.
    (void)error_of(sealed(altered));
  }
}

TEST(HistorySnapshot, RefusesAnotherVersionAndAnotherFile) {
  const std::string bytes = bytes_of(busy_history(kSmall));
  const std::vector<std::pair<size_t, std::string>> versions = {
      {8, "history file version 3, this build reads 2"},
      {12, "history version " + std::to_string(kHistoryVersion + 1)},
      {16, "feature version " + std::to_string(kFeatureVersion + 1)}};
  for (const auto& [at, text] : versions) {
    std::string newer = bytes;
    ++newer[at];
    EXPECT_THAT(error_of(sealed(newer)), HasSubstr(text));
  }
  EXPECT_THAT(error_of(std::string(5000, 'x')), HasSubstr("not an Auspex job history"));
  EXPECT_THAT(error_of(""), HasSubstr("truncated: 0 bytes"));
  // A count that nobody wrote takes no memory.
  std::string endless = bytes;
  std::memset(endless.data() + kHeaderBytes + 28, 0x7f, 8);
  EXPECT_NE(error_of(sealed(endless)), "");

  std::string forged = bytes;
  forged[kHeaderBytes + 80] = 9;  // the running jobs of the first user
  EXPECT_THAT(error_of(sealed(forged)), HasSubstr("more starts than are kept"));

  const TemporaryFolder folder;
  EXPECT_THAT(load_history(folder / "absent", {}).error().message,
              HasSubstr("absent: No such file or directory"));
  EXPECT_THAT(load_history(folder.path(), {}).error().message, HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(load_history(folder / "pipe", {}).error().message, HasSubstr("not a regular file"));
}

TEST(HistorySnapshot, AFailedSaveLeavesTheOldFileAndNothingElse) {
  const TemporaryFolder folder;
  EXPECT_THAT(save_history(JobHistory(), folder / "no/h").error().message,
              HasSubstr("no/h: No such file or directory"));
  // A folder in the place of the file: all is written, and then it cannot be renamed.
  std::filesystem::create_directory(folder / "h");
  write_file(folder / "h/inside", "x");
  EXPECT_THAT(save_history(JobHistory(), folder / "h").error().message,
              StartsWith((folder / "h") + ": "));
  size_t entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    entries += entry.exists() ? 1 : 0;
  }
  EXPECT_EQ(entries, 1U);
}

}  // namespace
}  // namespace auspex
