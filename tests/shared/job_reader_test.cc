// SPDX-License-Identifier: Apache-2.0
#include "shared/job_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/fixtures/compressed.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/read_jobs.h"

namespace auspex {
namespace {

using fixtures::compressed;
using fixtures::JobsRead;
using fixtures::read_jobs_at;
using fixtures::read_jobs_in;
using fixtures::TemporaryFolder;
using fixtures::write_file;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kSwf[] =
    "; UnixStartTime: 1000000\n"
    ";  MaxNodes: 4 (a comment)\n"
    "\n"
    "  1  10  5  100  8  -1  -1  16  3601  2048  1  7  3  42  2  1  -1  -1\n"
    "  2  20  5   60  8  -1  -1  -1   120    -1  0 -1 -1  -1 -1 -1  -1  -1\n"
    "  3  30  5   -1  8  -1  -1  16  3600    -1  5  7  3  -1  2  1  -1  -1\n";

TEST(JobReader, knows_its_formats) {
  EXPECT_EQ(parse_job_format("swf").value(), JobFormat::kSwf);
  EXPECT_THAT(parse_job_format("SWF").error().message,
              HasSubstr("'SWF' is none of sacct, swf, csv"));
}

TEST(JobReader, reads_swf) {
  const JobsRead read = read_jobs_in(kSwf, JobFormat::kSwf);
  ASSERT_TRUE(read.report.ok()) << read.report.error().message;
  EXPECT_EQ(read.report->rows, 4U);
  EXPECT_EQ(read.report->skipped, 2U);  // the blank line and the job that never ran
  ASSERT_EQ(read.jobs.size(), 2U);
  const JobRecord& job = read.jobs[0];
  EXPECT_EQ(job.id, "1");
  EXPECT_EQ(job.submission.submit_time_s, 1000010);
  EXPECT_EQ(job.start_s, 1000015);
  EXPECT_EQ(job.end_s, 1000115);
  EXPECT_EQ(job.runtime_s, 100);
  EXPECT_EQ(job.outcome, Outcome::kCompleted);
  EXPECT_EQ(job.submission.time_limit_min, 61U);  // rounded up
  EXPECT_EQ(job.submission.min_cpus, 16U);
  EXPECT_EQ(job.submission.memory_per_cpu_mib, 2U);
  EXPECT_EQ(job.submission.user, "7");
  EXPECT_EQ(job.submission.group, "3");
  EXPECT_THAT(job.submission.argv, ElementsAre("42"));
  EXPECT_EQ(job.submission.name, "");
  EXPECT_EQ(job.submission.qos, "2");
  EXPECT_EQ(job.submission.partition, "1");

  const JobRecord& second = read.jobs[1];
  EXPECT_EQ(second.submission.min_cpus, 8U);  // requested unknown: the used ones
  EXPECT_EQ(second.outcome, Outcome::kFailed);
  EXPECT_EQ(second.submission.user, "");
  EXPECT_FALSE(second.submission.memory_per_cpu_mib.has_value());
  EXPECT_TRUE(second.submission.argv.empty());
}

TEST(JobReader, counts_bad_swf_rows) {
  const std::string good = "1 10 5 100 8 -1 -1 16 3600 -1 1 7 3 -1 2 1 -1 -1";
  const JobsRead read = read_jobs_in(good + "\n" + good + " 9\n1 2 3\n" + good.substr(0, 3) +
                                         "x 5 100 8 -1 -1 16 3600 -1 1 7 3 -1 2 1 -1 -1\n" +
                                         "1 -10 5 100 8 -1 -1 16 3600 -1 1 7 3 -1 2 1 -1 -1\n" +
                                         "1 10 5 1e300 8 -1 -1 16 3600 -1 1 7 3 -1 2 1 -1 -1\n",
                                     JobFormat::kSwf);
  ASSERT_TRUE(read.report.ok());
  EXPECT_EQ(read.report->jobs, 1U);
  EXPECT_EQ(read.report->bad, 5U);
  ASSERT_EQ(read.report->complaints.size(), 5U);
  EXPECT_THAT(read.report->complaints[0], HasSubstr("jobs:2: more than 18 columns"));
  EXPECT_THAT(read.report->complaints[1], HasSubstr(":3: column 4: ''"));
  EXPECT_THAT(read.report->complaints[2], HasSubstr(":4: column 2: '1x'"));
  EXPECT_THAT(read.report->complaints[3], HasSubstr(":5: submit time: '-10'"));
  EXPECT_THAT(read.report->complaints[4], HasSubstr(":6: column 4: '1e300'"));
}

constexpr char kCedarHeader[] =
    "job_unique_id,submit_time,start_time,end_time,partition_id_x,account_id,req_cpus,"
    "req_mem_per_cpu,req_tres,state,time_limit_sec,elapsed_time\n";

TEST(JobReader, reads_cedars_columns) {
  const JobsRead read = read_jobs_in(
      std::string(kCedarHeader) +
          "5,2021-05-01 00:06:13,2021-05-02 00:00:00,2021-05-02 00:10:00,48,18337,2,1900.6,"
          "\"billing=1,cpu=2,gres/gpu=1,mem=3800M,node=3\",OUT_OF_MEMORY,72000,600\n",
      JobFormat::kCsv);
  ASSERT_TRUE(read.report.ok()) << read.report.error().message;
  ASSERT_EQ(read.jobs.size(), 1U);
  const JobRecord& job = read.jobs[0];
  EXPECT_EQ(job.submission.account, "18337");
  EXPECT_EQ(job.submission.partition, "48");
  EXPECT_EQ(job.submission.user, "");
  EXPECT_EQ(job.submission.min_cpus, 2U);
  EXPECT_EQ(job.submission.min_nodes, 3U);
  EXPECT_EQ(job.submission.memory_per_cpu_mib, 1901U);
  EXPECT_EQ(job.submission.tres_per_job, "gres/gpu:1");
  EXPECT_EQ(job.submission.time_limit_min, 1200U);
  EXPECT_EQ(job.outcome, Outcome::kFailed);
  EXPECT_EQ(job.runtime_s, 600);
  EXPECT_EQ(job.end_s - job.start_s, 600);
}

TEST(JobReader, reads_eagles_columns) {
  const JobsRead read = read_jobs_in(
      "job_id,user,account,partition,qos,wallclock_req,nodes_req,processors_req,gpus_req,mem_req,"
      "submit_time,start_time,end_time,run_time,state,name,work_dir,submit_line\n"
      "7,u1,a1,p1,normal,61.0,2,72,4,0.0,2019-01-01 08:55:55,2019-01-01 08:55:56,"
      "2019-01-01 08:56:36,40.0,TIMEOUT,\"a \"\"name\"\", twice\",/w,line1\n",
      JobFormat::kCsv);
  ASSERT_TRUE(read.report.ok()) << read.report.error().message;
  ASSERT_EQ(read.jobs.size(), 1U);
  const Submission& submission = read.jobs[0].submission;
  EXPECT_EQ(submission.user, "u1");
  EXPECT_EQ(submission.time_limit_min, 2U);
  EXPECT_EQ(submission.min_cpus, 72U);
  EXPECT_EQ(submission.min_nodes, 2U);
  EXPECT_EQ(submission.tres_per_job, "gres/gpu:4");
  EXPECT_EQ(submission.name, "a \"name\", twice");
  EXPECT_EQ(submission.work_dir, "/w");
  EXPECT_EQ(read.jobs[0].outcome, Outcome::kTimeout);
}

TEST(JobReader, follows_quotes_over_lines) {
  const std::string header = "job_id,state,submit_time,end_time,run_time,time_limit_sec,name\n";
  const std::string row = ",COMPLETED,2021-05-01 00:00:00,2021-05-01 01:00:00,60,600,";
  const JobsRead read =
      read_jobs_in(header + "1" + row + "\"two\r\nlines, one \"\"row\"\"\"\n2" + row + "plain\n3" +
                       row + "\"a\"b\n4" + row + "\"never closed\n",
                   JobFormat::kCsv);
  ASSERT_TRUE(read.report.ok()) << read.report.error().message;
  EXPECT_EQ(read.report->rows, 4U);
  ASSERT_EQ(read.jobs.size(), 2U);
  EXPECT_EQ(read.jobs[0].submission.name, "two\nlines, one \"row\"");
  EXPECT_EQ(read.jobs[1].submission.name, "plain");
  EXPECT_EQ(read.report->bad, 2U);
  EXPECT_THAT(read.report->complaints[0], HasSubstr(":5: text after a closing quote"));
  EXPECT_THAT(read.report->complaints[1], HasSubstr(":6: the file ends within quotes"));
}

TEST(JobReader, gives_up_on_a_quote_that_stays_open) {
  std::string text = "job_id,state,submit_time,end_time,run_time,time_limit_sec\n\"open";
  for (int line = 0; line < 5000; ++line) text += "\n,";
  const JobsRead read = read_jobs_in(text + "\n", JobFormat::kCsv);
  ASSERT_TRUE(read.report.ok());
  EXPECT_THAT(read.report->complaints[0], HasSubstr(":1002: a quote is open for too long"));
}

TEST(JobReader, names_a_missing_column_and_those_that_are_there) {
  const JobsRead csv = read_jobs_in("a,b\n1,2\n", JobFormat::kCsv);
  ASSERT_FALSE(csv.report.ok());
  EXPECT_THAT(
      csv.report.error().message,
      HasSubstr("jobs:1: the header lacks the column job_id or job_unique_id; it has: a, b"));
  const JobsRead sacct = read_jobs_in("JobID|Submit|Start|State|Elapsed\n", JobFormat::kSacct);
  ASSERT_FALSE(sacct.report.ok());
  EXPECT_THAT(sacct.report.error().message,
              HasSubstr("the header lacks the column TimelimitRaw or Timelimit; it has: JobID"));
}

TEST(JobReader, refuses_too_many_bad_rows) {
  const std::string good = "1 10 5 100 8 -1 -1 16 3600 -1 1 7 3 -1 2 1 -1 -1\n";
  std::string text;
  for (int row = 0; row < 99; ++row) text += good;
  EXPECT_TRUE(read_jobs_in(text + "bad\n", JobFormat::kSwf, 0.01).report.ok());
  const JobsRead read = read_jobs_in(text + "bad\nworse\n", JobFormat::kSwf, 0.01);
  ASSERT_FALSE(read.report.ok());
  EXPECT_THAT(read.report.error().message, HasSubstr("2 of 101 rows are bad; the first: "));
  EXPECT_THAT(read.report.error().message, HasSubstr("jobs:100: column 1: 'bad'"));
}

TEST(JobReader, keeps_the_first_ten_complaints) {
  std::string text;
  for (int row = 0; row < 30; ++row) text += "bad\n";
  const JobsRead read = read_jobs_in(text, JobFormat::kSwf);
  ASSERT_TRUE(read.report.ok());
  EXPECT_EQ(read.report->bad, 30U);
  EXPECT_EQ(read.report->complaints.size(), 10U);
}

TEST(JobReader, takes_empty_files_for_what_they_are) {
  EXPECT_TRUE(read_jobs_in("", JobFormat::kSwf).report.ok());
  EXPECT_THAT(read_jobs_in("", JobFormat::kSacct).report.error().message,
              HasSubstr("no header row"));
  EXPECT_THAT(read_jobs_in("", JobFormat::kCsv).report.error().message, HasSubstr("no header row"));
  const JobsRead header_only = read_jobs_in(kCedarHeader, JobFormat::kCsv);
  ASSERT_TRUE(header_only.report.ok());
  EXPECT_EQ(header_only.report->rows, 0U);
}

TEST(JobReader, names_a_file_that_is_not_there) {
  const JobsRead read = read_jobs_at("/nowhere/jobs.csv", JobFormat::kCsv);
  ASSERT_FALSE(read.report.ok());
  EXPECT_THAT(read.report.error().message, HasSubstr("/nowhere/jobs.csv: cannot be read"));
}

TEST(JobReader, reads_a_byte_order_mark_and_crlf) {
  std::string text = "\xef\xbb\xbf";
  for (const char byte : std::string(kSwf)) text += byte == '\n' ? "\r\n" : std::string(1, byte);
  const JobsRead read = read_jobs_in(text, JobFormat::kSwf);
  ASSERT_TRUE(read.report.ok());
  EXPECT_EQ(read.jobs.size(), 2U);
  EXPECT_EQ(read.report->bad, 0U);
}

TEST(JobReader, reads_gz_and_xz) {
  const TemporaryFolder folder;
  for (const auto& add_filter : {archive_write_add_filter_gzip, archive_write_add_filter_xz}) {
    write_file(folder / "jobs", compressed(kSwf, add_filter));
    const JobsRead read = read_jobs_at(folder / "jobs", JobFormat::kSwf);
    ASSERT_TRUE(read.report.ok()) << read.report.error().message;
    EXPECT_EQ(read.jobs.size(), 2U);
  }
}

// Whatever is cut off, the answer is an error or what was there, never a crash.
TEST(JobReader, survives_truncation_at_every_byte) {
  const TemporaryFolder folder;
  const std::string path = folder / "jobs";
  const std::string csv = std::string(kCedarHeader) +
                          "5,2021-05-01 00:06:13,,2021-05-02 00:10:00,48,18337,2,1900,"
                          "\"cpu=2,node=3\",COMPLETED,72000,600\n";
  const std::string xz = compressed(kSwf, archive_write_add_filter_xz);
  const std::vector<std::pair<std::string, JobFormat>> files = {
      {kSwf, JobFormat::kSwf}, {csv, JobFormat::kCsv}, {xz, JobFormat::kSwf}};
  for (const auto& [bytes, format] : files) {
    for (size_t size = 0; size < bytes.size(); ++size) {
      write_file(path, bytes.substr(0, size));
      const JobsRead read = read_jobs_at(path, format);
      EXPECT_LE(read.jobs.size(), 2U);
      if (read.report.ok()) {
        EXPECT_EQ(read.report->rows, read.report->jobs + read.report->skipped + read.report->bad);
      }
    }
  }
}

TEST(JobReader, calls_a_huge_line_bad_and_goes_on) {
  const std::string good = "1 10 5 100 8 -1 -1 16 3600 -1 1 7 3 -1 2 1 -1 -1\n";
  const JobsRead read =
      read_jobs_in(good + std::string(3 << 20, '7') + "\n" + good, JobFormat::kSwf);
  ASSERT_TRUE(read.report.ok());
  EXPECT_EQ(read.report->jobs, 2U);
  EXPECT_EQ(read.report->bad, 1U);
  EXPECT_THAT(read.report->complaints[0], HasSubstr(":2: the line is longer than 1048576 bytes"));
}

TEST(JobReader, calls_a_nul_bad) {
  std::string text = "1 10 5 100 8 -1 -1 16 3600 -1 1 7 3 -1 2 1 -1 -1\n";
  text[3] = '\0';
  const JobsRead read = read_jobs_in(text, JobFormat::kSwf);
  ASSERT_TRUE(read.report.ok());
  EXPECT_THAT(read.report->complaints, ElementsAre(HasSubstr(":1: a NUL byte in the row")));
}

TEST(JobReader, reads_published_histories) {
  const char* named = std::getenv("AUSPEX_TEST_DATA");
  const std::string data = named != nullptr ? named : AUSPEX_SOURCE_DIR "/../shared/data";
  const std::string cedar = data + "/jobs/cedar/drac_cedar_2021.csv.xz";
  const std::string hpc2n = data + "/jobs/swf/HPC2N-2002-2.1-cln.swf.xz";
  if (!std::filesystem::exists(cedar) || !std::filesystem::exists(hpc2n)) {
    GTEST_SKIP() << "skipped: no " << cedar << " (set AUSPEX_TEST_DATA)";
  }
  Result<ReadReport> report = read_jobs(cedar, JobFormat::kCsv, {0}, [](JobRecord&&) {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->jobs, 125116U);
  report = read_jobs(hpc2n, JobFormat::kSwf, {0}, [](JobRecord&&) {});
  ASSERT_TRUE(report.ok()) << report.error().message;
  EXPECT_EQ(report->rows, 202876U);
}

}  // namespace
}  // namespace auspex
