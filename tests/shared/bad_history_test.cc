// SPDX-License-Identifier: Apache-2.0
// Files that are damaged, cut short, of another kind or hostile; and how far reading has come.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "shared/job_reader.h"
#include "tests/fixtures/compressed.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/read_jobs.h"

namespace auspex {
namespace {

using fixtures::compressed;
using fixtures::TemporaryFolder;
using fixtures::write_file;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kSacctHeader[] = "JobID|Submit|Start|End|ElapsedRaw|TimelimitRaw|State\n";
constexpr char kSacctRow[] = "7|1000|1100|1200|100|60|COMPLETED\n";
constexpr char kSwfRow[] = "1 10 5 100 8 -1 -1 16 3600 -1 1 7 3 -1 2 1 -1 -1\n";

Result<ReadReport> read_at(const std::string& path, JobFormat format) {
  return fixtures::read_jobs_at(path, format).report;
}

Result<ReadReport> read_text(const std::string& text, JobFormat format, double max_bad = 1) {
  return fixtures::read_jobs_in(text, format, max_bad).report;
}

std::string error_of(const std::string& text, JobFormat format, double max_bad = 0.01) {
  const Result<ReadReport> report = read_text(text, format, max_bad);
  return report.ok() ? "no error" : report.error().message;
}

std::string rows(const std::string& row, size_t count) {
  std::string text;
  for (size_t index = 0; index < count; ++index) text += row;
  return text;
}

// Rows that do not compress to nothing, so that the file may be cut within its data.
std::string different_rows(size_t count) {
  std::string text;
  for (size_t index = 0; index < count; ++index) {
    text += std::to_string(index * 2654435761 % 1000003) + " 10 5 " +
            std::to_string(1 + index * 40503 % 9973) + " 8 -1 -1 16 3600 -1 1 7 3 -1 2 1 -1 -1\n";
  }
  return text;
}

TEST(BadHistory, says_that_compressed_data_is_truncated) {
  const std::string text = different_rows(20000);
  const TemporaryFolder folder;
  for (const auto& add_filter : {archive_write_add_filter_gzip, archive_write_add_filter_xz}) {
    const std::string bytes = compressed(text, add_filter);
    // Within the data, at its end, and within what follows it: gzip's trailer has eight bytes.
    for (const size_t cut : {bytes.size() / 2, size_t{200}, size_t{8}, size_t{4}, size_t{1}}) {
      write_file(folder / "jobs", bytes.substr(0, bytes.size() - cut));
      const Result<ReadReport> report = read_at(folder / "jobs", JobFormat::kSwf);
      ASSERT_FALSE(report.ok()) << cut;
      EXPECT_THAT(report.error().message, StartsWith((folder / "jobs") + ": cannot be read"))
          << cut;
      EXPECT_THAT(report.error().message, HasSubstr("truncated")) << cut;
    }
    // Whoever wants to save the rest learns where it begins.
    write_file(folder / "jobs", bytes.substr(0, bytes.size() - 1));
    EXPECT_THAT(read_at(folder / "jobs", JobFormat::kSwf).error().message,
                HasSubstr("cannot be read after line "));
  }
}

TEST(BadHistory, refuses_damaged_xz) {
  std::string bytes = compressed(different_rows(20000), archive_write_add_filter_xz);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 16);
  EXPECT_THAT(error_of(bytes, JobFormat::kSwf, 1), HasSubstr("Corrupted input data"));
}

TEST(BadHistory, refuses_a_binary_file) {
  const std::string elf(
      "\x7f"
      "ELF\x02\x01\x01\0\0\0\n\x03\0\xff\n",
      15);
  EXPECT_THAT(error_of(elf, JobFormat::kSacct),
              HasSubstr("jobs:1: no header row: a NUL byte in the row"));
  EXPECT_THAT(error_of(elf, JobFormat::kCsv),
              HasSubstr("jobs:1: no header row: a NUL byte in the row"));
  EXPECT_THAT(error_of(elf, JobFormat::kSwf), HasSubstr("2 of 2 rows are bad; the first: "));
  // What is shown of one does not reach the terminal as it is.
  const std::string escapes = "\x1b]0;title\a\x1b[2J\n";
  EXPECT_THAT(error_of(escapes, JobFormat::kSacct), HasSubstr("it has: ?]0;title??[2J"));
  EXPECT_THAT(error_of(escapes, JobFormat::kCsv), HasSubstr("it has: ?]0;title??[2J"));
  EXPECT_THAT(error_of(escapes, JobFormat::kSwf), HasSubstr("column 1: '?]0;title??[2J'"));
  EXPECT_LT(error_of(std::string(1 << 19, 'x') + "\n", JobFormat::kSwf).size(), 400U);
}

TEST(BadHistory, refuses_a_header_that_is_too_long_or_never_ends) {
  EXPECT_THAT(error_of(std::string(2 << 20, 'x') + "\n", JobFormat::kSacct),
              HasSubstr("jobs:1: no header row: the line is longer than 1048576 bytes"));
  EXPECT_THAT(error_of("job_id,\"state\n1,2\n", JobFormat::kCsv),
              HasSubstr("jobs: ends within its header row"));
}

TEST(BadHistory, takes_a_header_without_rows_for_an_empty_history) {
  const std::vector<std::pair<std::string, JobFormat>> files = {
      {kSacctHeader, JobFormat::kSacct},
      {"; UnixStartTime: 0\n", JobFormat::kSwf},
      {"job_id,submit_time,start_time,state,run_time,time_limit_sec\n", JobFormat::kCsv}};
  for (const auto& [text, format] : files) {
    const Result<ReadReport> report = read_text(text, format);
    ASSERT_TRUE(report.ok()) << report.error().message;
    EXPECT_EQ(report->rows, 0U);
  }
}

TEST(BadHistory, names_each_column_that_is_needed) {
  const std::vector<std::pair<std::string, std::string>> headers = {
      {"Submit|Start|ElapsedRaw|TimelimitRaw|State", "JobID or JobIDRaw"},
      {"JobID|Start|ElapsedRaw|TimelimitRaw|State", "Submit"},
      {"JobID|Submit|ElapsedRaw|TimelimitRaw|State", "Start or End"},
      {"JobID|Submit|Start|TimelimitRaw|State", "ElapsedRaw or Elapsed"},
      {"JobID|Submit|Start|ElapsedRaw|State", "TimelimitRaw or Timelimit"},
      {"JobID|Submit|Start|ElapsedRaw|TimelimitRaw", "State"}};
  for (const auto& [header, missing] : headers) {
    EXPECT_THAT(error_of(header + "\n", JobFormat::kSacct),
                HasSubstr("jobs:1: the header lacks the column " + missing + "; it has: "));
  }
}

TEST(BadHistory, counts_times_that_go_backwards) {
  const std::string text = std::string(kSacctHeader) + rows(kSacctRow, 97) +
                           "8|1000|999|1200|100|60|COMPLETED\n"
                           "9|1000|1100|1099|100|60|COMPLETED\n"
                           "10|-1000|1100|1200|100|60|COMPLETED\n";
  const Result<ReadReport> report = read_text(text, JobFormat::kSacct, 0.03);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->jobs, 97U);
  EXPECT_EQ(report->bad, 3U);
  EXPECT_THAT(report->complaints,
              ElementsAre(HasSubstr("jobs:99: start time: '999' is before submit time: '1000'"),
                          HasSubstr("jobs:100: end time: '1099' is before start time: '1100'"),
                          HasSubstr("jobs:101: submit time: '-1000'")));
  EXPECT_THAT(error_of(text, JobFormat::kSacct, 0.02), HasSubstr("3 of 100 rows are bad"));
}

TEST(BadHistory, counts_negative_spans_of_swf) {
  const Result<ReadReport> report = read_text(
      "1 10 -5 100 8 -1 -1 16 3600 -1 1 7 3 -1 2 1 -1 -1\n"
      "1 10 5 -100 8 -1 -1 16 3600 -1 1 7 3 -1 2 1 -1 -1\n"
      "1 10 5 100 8 -1 -1 16 -3600 -1 1 7 3 -1 2 1 -1 -1\n"
      "1 10 -1 -1 8 -1 -1 16 -1 -1 1 7 3 -1 2 1 -1 -1\n",
      JobFormat::kSwf);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->skipped, 1U);  // -1 is the format's word for unknown
  EXPECT_THAT(report->complaints, ElementsAre(HasSubstr(":1: wait time: '-5' is negative"),
                                              HasSubstr(":2: runtime: '-100' is negative"),
                                              HasSubstr(":3: limit: '-3600' is negative")));
}

// A start that only the end and a rounded runtime tell may fall a second before the submission.
TEST(BadHistory, forgives_a_second_of_rounding) {
  std::vector<JobRecord> jobs;
  const TemporaryFolder folder;
  write_file(folder / "jobs",
             "job_id,submit_time,end_time,state,run_time,time_limit_sec\n"
             "1,1000,1060,COMPLETED,60.6,600\n");
  const Result<ReadReport> report =
      read_jobs(folder / "jobs", JobFormat::kCsv, {},
                [&jobs](JobRecord&& job) { jobs.push_back(std::move(job)); });
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].start_s, 1000);
}

uint64_t peak_kib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss);
}

TEST(BadHistory, ends_at_a_line_of_64_mib_and_keeps_little_of_it) {
  const TemporaryFolder folder;
  const std::string path = folder / "jobs";
  const std::vector<std::pair<std::string, JobFormat>> heads = {
      {"", JobFormat::kSacct},
      {std::string(kSacctHeader) + kSacctRow, JobFormat::kSacct},
      {rows(kSwfRow, 2), JobFormat::kSwf}};
  for (const auto& [head, format] : heads) {
    write_file(path, head);
    std::filesystem::resize_file(path, head.size() + (64 << 20));  // a hole: no disk is written
    const uint64_t before_kib = peak_kib();
    const Result<ReadReport> report = read_at(path, format);
    ASSERT_FALSE(report.ok());
    const auto line = 1 + std::count(head.begin(), head.end(), '\n');
    EXPECT_EQ(report.error().message,
              path + ":" + std::to_string(line) +
                  ": the line is longer than 16777216 bytes: no job history");
    EXPECT_LT(peak_kib() - before_kib, 8U * 1024);
  }
}

// A file that a crash filled up with NULs, or a quote, costs its own rows only.
TEST(BadHistory, goes_on_after_a_row_that_broke_off) {
  const std::string header = "job_id,submit_time,end_time,state,run_time,time_limit_sec,name\n";
  const std::string good = "2,1000,1060,COMPLETED,60,600,a\n";
  const Result<ReadReport> report = read_text(header + "1,1000,1060,COMPLETED,60,600,\"broken\n" +
                                                  std::string(3, '\0') + "\n" + good + good,
                                              JobFormat::kCsv);
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->rows, 3U);
  EXPECT_EQ(report->jobs, 2U);
  EXPECT_THAT(report->complaints, ElementsAre(HasSubstr(":3: a NUL byte in the row")));
}

TEST(ReadProgress, tells_the_bytes_on_disk_and_the_rows) {
  constexpr size_t kRows = 20000;
  const std::string text = different_rows(kRows);
  const TemporaryFolder folder;
  const std::vector<std::string> files = {text, compressed(text, archive_write_add_filter_gzip),
                                          compressed(text, archive_write_add_filter_xz)};
  for (const std::string& bytes : files) {
    write_file(folder / "jobs", bytes);
    std::vector<ReadProgress> seen;
    ReadOptions options;
    options.progress = [&seen](const ReadProgress& progress) { seen.push_back(progress); };
    ASSERT_TRUE(read_jobs(folder / "jobs", JobFormat::kSwf, options, [](JobRecord&&) {}).ok());
    // Blocks have 256 KiB of text.
    ASSERT_GT(seen.size(), text.size() / (256 * 1024));
    for (size_t index = 0; index < seen.size(); ++index) {
      EXPECT_EQ(seen[index].bytes_total, bytes.size());
      EXPECT_LE(seen[index].bytes, bytes.size());
      if (index == 0) continue;
      EXPECT_GE(seen[index].bytes, seen[index - 1].bytes);
      EXPECT_GE(seen[index].rows, seen[index - 1].rows);
    }
    EXPECT_LT(seen.front().rows, kRows);
    EXPECT_EQ(seen.back().rows, kRows);
    EXPECT_EQ(seen.back().bytes, bytes.size());
    EXPECT_EQ(seen.back().share(), 1);
  }
}

TEST(ReadProgress, knows_no_total_of_a_pipe) {
  const TemporaryFolder folder;
  const std::string path = folder / "jobs";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&path] { write_file(path, rows(kSwfRow, 3)); });
  std::vector<ReadProgress> seen;
  ReadOptions options;
  options.progress = [&seen](const ReadProgress& progress) { seen.push_back(progress); };
  const Result<ReadReport> report = read_jobs(path, JobFormat::kSwf, options, [](JobRecord&&) {});
  writer.join();
  ASSERT_TRUE(report.ok()) << report.error().message;
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.back().rows, 3U);
  EXPECT_EQ(seen.back().bytes_total, 0U);
  EXPECT_EQ(seen.back().share(), 0);
}

}  // namespace
}  // namespace auspex
