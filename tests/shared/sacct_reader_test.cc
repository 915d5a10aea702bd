// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "shared/features.h"
#include "shared/job_reader.h"
#include "shared/sbatch_options.h"
#include "tests/fixtures/files.h"

namespace auspex {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Read {
  Result<ReadReport> report;
  std::vector<JobRecord> jobs;
};

Read read_text(const std::string& text) {
  const fixtures::TemporaryFolder folder;
  fixtures::write_file(folder / "jobs", text);
  std::vector<JobRecord> jobs;
  Result<ReadReport> report = read_jobs(folder / "jobs", JobFormat::kSacct, {1},
                                        [&](JobRecord&& job) { jobs.push_back(std::move(job)); });
  return {std::move(report), std::move(jobs)};
}

// A row of the needed columns and `more` of them: name and value.
using Cells = std::vector<std::pair<std::string, std::string>>;

Cells usual() {
  return {{"JobID", "12"},
          {"Submit", "2024-03-01T10:00:00"},
          {"Start", "2024-03-01T10:05:00"},
          {"End", "2024-03-01T10:15:00"},
          {"ElapsedRaw", "600"},
          {"TimelimitRaw", "60"},
          {"State", "COMPLETED"}};
}

std::string table(const Cells& cells) {
  std::string names, values;
  for (const auto& [name, value] : cells) {
    names.append(names.empty() ? "" : "|").append(name);
    values.append(values.empty() ? "" : "|").append(value);
  }
  return names + "\n" + values + "\n";
}

Read read_with(const Cells& more) {
  Cells cells = usual();
  for (const auto& cell : more) {
    const auto same = [&](const auto& other) { return other.first == cell.first; };
    std::erase_if(cells, same);
    cells.push_back(cell);
  }
  return read_text(table(cells));
}

Submission submission_with(const Cells& more) {
  const Read read = read_with(more);
  EXPECT_TRUE(read.report.ok());
  if (read.jobs.empty()) {
    ADD_FAILURE() << "no job: " << testing::PrintToString(read.report->complaints);
    return {};
  }
  return read.jobs[0].submission;
}

TEST(SacctReader, reads_a_job) {
  const Read read = read_with({{"User", "ada"},
                               {"UID", "1001"},
                               {"Group", "g"},
                               {"GID", "50"},
                               {"Account", "bio"},
                               {"Partition", "cpu"},
                               {"QOS", "normal"},
                               {"JobName", "run"},
                               {"Reservation", ""},
                               {"WorkDir", "/home/ada"},
                               {"Constraints", "skylake"},
                               {"Flags", "SchedBackfill"}});
  ASSERT_EQ(read.jobs.size(), 1U);
  const JobRecord& job = read.jobs[0];
  EXPECT_EQ(job.id, "12");
  EXPECT_EQ(job.submission.user, "1001");
  EXPECT_EQ(job.submission.group, "50");
  EXPECT_EQ(job.submission.account, "bio");
  EXPECT_EQ(job.submission.partition, "cpu");
  EXPECT_EQ(job.submission.qos, "normal");
  EXPECT_EQ(job.submission.name, "run");
  EXPECT_EQ(job.submission.work_dir, "/home/ada");
  EXPECT_EQ(job.submission.features, "skylake");
  EXPECT_EQ(job.submission.time_limit_min, 60U);
  EXPECT_EQ(job.start_s - job.submission.submit_time_s, 300);
  EXPECT_EQ(job.end_s - job.start_s, 600);
  EXPECT_EQ(job.runtime_s, 600);
}

TEST(SacctReader, takes_columns_in_any_order_and_older_ones) {
  const Read read = read_text(
      "State|Timelimit|Elapsed|Start|Submit|User|Group|JobIDRaw|NNodes|NCPUS\n"
      "FAILED|1-02:00:00|01:00:30|2024-03-01T10:05:00|2024-03-01T10:00:00|ada|g|7|2|8\n");
  ASSERT_EQ(read.jobs.size(), 1U);
  const JobRecord& job = read.jobs[0];
  EXPECT_EQ(job.submission.user, "ada");
  EXPECT_EQ(job.submission.time_limit_min, 26U * 60);
  EXPECT_EQ(job.runtime_s, 3630);
  EXPECT_EQ(job.end_s - job.start_s, 3630);
  EXPECT_EQ(job.submission.min_cpus, 8U);
  EXPECT_EQ(job.submission.min_nodes, 2U);
  EXPECT_EQ(job.outcome, Outcome::kFailed);
}

TEST(SacctReader, skips_what_is_no_job_to_learn_from) {
  for (const Cells& cells : std::vector<Cells>{{{"JobID", "12.batch"}},
                                               {{"JobID", "12_3.0"}},
                                               {{"State", "RUNNING"}, {"End", "Unknown"}},
                                               {{"State", "PENDING"}, {"Start", "Unknown"}},
                                               {{"Start", "None"}, {"ElapsedRaw", "0"}},
                                               {{"TimelimitRaw", ""}},
                                               {{"TimelimitRaw", "UNLIMITED"}},
                                               {{"TimelimitRaw", "Partition_Limit"}},
                                               {{"TimelimitRaw", "0"}}}) {
    const Read read = read_with(cells);
    ASSERT_TRUE(read.report.ok());
    EXPECT_EQ(read.report->skipped, 1U) << cells[0].first << cells[0].second;
    EXPECT_TRUE(read.jobs.empty());
  }
}

TEST(SacctReader, knows_how_jobs_end) {
  const std::vector<std::pair<std::string, Outcome>> states = {
      {"COMPLETED", Outcome::kCompleted},
      {"FAILED", Outcome::kFailed},
      {"OUT_OF_MEMORY", Outcome::kFailed},
      {"TIMEOUT", Outcome::kTimeout},
      {"CANCELLED by 1000", Outcome::kCancelled},
      {"NODE_FAIL", Outcome::kOther},
      {"PREEMPTED", Outcome::kOther}};
  for (const auto& [state, outcome] : states) {
    const Read read = read_with({{"State", state}});
    ASSERT_EQ(read.jobs.size(), 1U) << state;
    EXPECT_EQ(read.jobs[0].outcome, outcome) << state;
  }
}

// sacct --duplicates: every run of a requeued job has a row of its own, with a submit time of its
// own. The job's last row tells what it does now.
TEST(SacctReader, takes_each_run_of_a_requeued_job) {
  const Read read = read_text(
      "JobID|Submit|Start|End|ElapsedRaw|TimelimitRaw|State\n"
      "7|2024-03-01T10:00:00|2024-03-01T10:05:00|2024-03-01T10:15:00|600|60|REQUEUED\n"
      "7.batch|2024-03-01T10:05:00|2024-03-01T10:05:00|2024-03-01T10:15:00|600||CANCELLED\n"
      "7|2024-03-01T10:15:00|2024-03-01T10:20:00|2024-03-01T10:25:00|300|60|NODE_FAIL\n"
      "7|2024-03-01T10:25:00|None|2024-03-01T10:26:00|0|60|REQUEUED\n"
      "7|2024-03-01T10:26:00|2024-03-01T10:30:00|2024-03-01T10:31:00|60|60|COMPLETED\n"
      "8|2024-03-01T10:00:00|2024-03-01T10:05:00|Unknown|600|60|REQUEUED\n"
      "9|2024-03-01T10:00:00|Unknown|Unknown|0|60|REQUEUE_HOLD\n");
  ASSERT_TRUE(read.report.ok()) << read.report.error().message;
  EXPECT_THAT(read.report->complaints, testing::IsEmpty());
  EXPECT_EQ(read.report->skipped, 4U);
  ASSERT_EQ(read.jobs.size(), 3U);
  for (const JobRecord& job : read.jobs) EXPECT_EQ(job.id, "7");
  EXPECT_EQ(read.jobs[0].outcome, Outcome::kOther);
  EXPECT_EQ(read.jobs[0].runtime_s, 600);
  EXPECT_EQ(read.jobs[1].outcome, Outcome::kOther);
  EXPECT_EQ(read.jobs[1].submission.submit_time_s, read.jobs[0].end_s);
  EXPECT_EQ(read.jobs[2].outcome, Outcome::kCompleted);
  EXPECT_EQ(read.jobs[2].runtime_s, 60);
}

TEST(SacctReader, reads_every_notation_of_a_duration) {
  const auto read = [](const std::string& elapsed, const std::string& limit) {
    const Read found = read_text(
        "JobID|Submit|Start|End|Elapsed|Timelimit|State\n7|2024-03-01T10:00:00|"
        "2024-03-01T10:05:00|2024-03-04T10:15:00|" +
        elapsed + "|" + limit + "|COMPLETED\n");
    if (found.jobs.size() != 1) return std::pair<double, uint32_t>();
    return std::pair(found.jobs[0].runtime_s, *found.jobs[0].submission.time_limit_min);
  };
  EXPECT_EQ(read("2-03:04:05", "365-00:00:00"), std::pair(183845.0, 525600U));
  EXPECT_EQ(read("03:04:05", "1-02:00"), std::pair(11045.0, 1560U));
  EXPECT_EQ(read("04:05", "10:00:00"), std::pair(245.0, 600U));
  EXPECT_EQ(read("04:05.250", "30:00"), std::pair(245.25, 30U));
}

TEST(SacctReader, shares_memory_among_cpus) {
  const auto per_cpu = [](const std::string& memory) {
    return submission_with({{"ReqMem", memory}, {"ReqCPUS", "6"}, {"ReqNodes", "2"}})
        .memory_per_cpu_mib;
  };
  EXPECT_EQ(per_cpu("4000M"), 667U);  // nearest
  EXPECT_EQ(per_cpu("12G"), 2048U);
  EXPECT_EQ(per_cpu("4Gc"), 4096U);
  EXPECT_EQ(per_cpu("3Gn"), 1024U);
  EXPECT_EQ(per_cpu("1.50T"), 262144U);
  EXPECT_EQ(per_cpu("6144K"), 1U);
  EXPECT_EQ(per_cpu("2.50Gc"), 2560U);
  EXPECT_EQ(per_cpu("600"), 100U);
  EXPECT_EQ(per_cpu("0"), std::nullopt);
  EXPECT_EQ(per_cpu("0n"), std::nullopt);
  EXPECT_EQ(per_cpu(""), std::nullopt);
  EXPECT_EQ(per_cpu("?"), std::nullopt);
}

TEST(SacctReader, reads_tres) {
  const auto gpus = [](const std::string& tres) {
    return submission_with({{"ReqTRES", tres}}).tres_per_job;
  };
  EXPECT_EQ(gpus("billing=4,cpu=4,mem=16G,node=1"), "");
  EXPECT_EQ(gpus("cpu=4,gres/gpu=2"), "gres/gpu:2");
  EXPECT_EQ(gpus("gres/gpu:a100=2,gres/gpu=2"), "gres/gpu:a100:2");
  EXPECT_EQ(gpus("gres/gpu=1,gres/gpu:1g.5gb=1"), "gres/gpu:1g.5gb:1");
  EXPECT_EQ(gpus("gres/gpumem=5,gres/gpuutil=1,gres/gpu=0,=,,x"), "");

  const Submission submission = submission_with({{"ReqTRES", "cpu=8,mem=16G,node=2"}});
  EXPECT_EQ(submission.min_cpus, 8U);
  EXPECT_EQ(submission.min_nodes, 2U);
  EXPECT_EQ(submission.memory_per_cpu_mib, 2048U);
  const Submission large = submission_with({{"ReqTRES", "cpu=1.50K,mem=1.50T,node=1"}});
  EXPECT_EQ(large.min_cpus, 1536U);
  EXPECT_EQ(large.memory_per_cpu_mib, 1024U);
}

TEST(SacctReader, reads_the_submit_line) {
  const Submission submission = submission_with(
      {{"SubmitLine",
        "/usr/bin/sbatch -t 60 --array=1-20 --time-min=10 -C fast run.sh 7 | tee x"}});
  EXPECT_THAT(submission.argv, ElementsAre("run.sh", "7", "|", "tee", "x"));
  EXPECT_EQ(submission.array, "1-20");
  EXPECT_EQ(submission.time_min_min, 10U);
  EXPECT_EQ(submission.features, "fast");
  EXPECT_EQ(submission.kind, SubmissionKind::kBatch);
  EXPECT_EQ(submission_with({{"SubmitLine", "srun -n 4 ./a.out"}}).kind,
            SubmissionKind::kInteractive);
  // A line that is not understood is no reason to lose the job.
  EXPECT_TRUE(submission_with({{"SubmitLine", "sbatch --no-such-option run.sh"}}).argv.empty());
  EXPECT_TRUE(submission_with({{"SubmitLine", "qsub run.sh"}}).argv.empty());
}

TEST(SacctReader, takes_a_submit_line_of_several_lines) {
  const Read read = read_with({{"SubmitLine", "sbatch --wrap=first\nsecond | third\nfourth"}});
  ASSERT_TRUE(read.report.ok());
  EXPECT_EQ(read.jobs.size(), 1U);
  EXPECT_EQ(read.report->bad, 0U);
}

TEST(SacctReader, complains_about_bad_rows) {
  const std::vector<std::pair<Cells, std::string>> rows = {
      {{{"ElapsedRaw", "-5"}}, "runtime: '-5'"},
      {{{"ElapsedRaw", "1e99"}}, "runtime: '1e99'"},
      {{{"ElapsedRaw", "soon"}}, "runtime: 'soon'"},
      {{{"Submit", "Unknown"}}, "submit time: 'Unknown'"},
      {{{"Submit", "-1"}}, "submit time: '-1'"},
      {{{"Start", "yesterday"}}, "start time: 'yesterday'"},
      {{{"End", "2024-13-41T00:00:00"}}, "end time: '2024-13-41"},
      {{{"Submit", "2024-03-01T10:05:01"}},
       "start time: '2024-03-01T10:05:00' is before submit time: '2024-03-01T10:05:01'"},
      {{{"Start", "2024-03-01T10:15:01"}},
       "end time: '2024-03-01T10:15:00' is before start time: '2024-03-01T10:15:01'"},
      // So sacct shows a clock that was set back while the job ran.
      {{{"End", "2024-03-01T10:04:59"}, {"ElapsedRaw", "0"}},
       "end time: '2024-03-01T10:04:59' is before start time: '2024-03-01T10:05:00'"},
      {{{"Start", "Unknown"}, {"End", "2024-03-01T09:59:59"}},
       "end time: '2024-03-01T09:59:59' is before submit time: '2024-03-01T10:00:00'"},
      {{{"Start", "Unknown"}, {"ElapsedRaw", "902"}},
       "runtime: '902' is longer than from submission to end"},
      {{{"ElapsedRaw", "-00:00:05"}}, "runtime: '-00:00:05'"},
      {{{"Start", "-1"}}, "start time: '-1'"},
      {{{"End", "-1"}}, "end time: '-1'"},
      {{{"TimelimitRaw", "\x1b[2J9"}}, "limit: '?[2J9'"},
      {{{"TimelimitRaw", "x"}}, "limit: 'x'"},
      {{{"State", ""}}, "state: ''"},
      {{{"JobID", ""}}, "job id: ''"},
      {{{"ReqCPUS", "-4"}}, "CPUs: '-4'"},
      {{{"ReqCPUS", "99999999999"}}, "CPUs: '99999999999'"},
      {{{"ReqMem", "lots"}}, "memory: 'lots'"},
      {{{"WorkDir", "/a|b"}}, "9 columns where the header has 8"}};
  for (const auto& [cells, complaint] : rows) {
    const Read read = read_with(cells);
    ASSERT_TRUE(read.report.ok());
    EXPECT_THAT(read.report->complaints, ElementsAre(HasSubstr(":2: " + complaint)));
  }
}

TEST(SacctReader, survives_truncation_at_every_byte) {
  Cells cells = usual();
  cells.insert(cells.end(), {{"ReqMem", "4Gc"},
                             {"ReqTRES", "cpu=4,gres/gpu:a100=1,mem=16G"},
                             {"SubmitLine", "sbatch --time=60 -n 4 run.sh"}});
  const std::string text = table(cells);
  for (size_t size = 0; size <= text.size(); ++size) {
    const Read read = read_text(text.substr(0, size));
    if (!read.report.ok()) continue;
    EXPECT_EQ(read.report->rows, read.report->jobs + read.report->skipped + read.report->bad);
  }
}

// What sbatch sends and what sacct tells of it later must look alike to the model.
TEST(SacctReader, gives_the_features_that_the_submission_had) {
  Submission online;
  online.submit_time_s = 1709287200;
  online.user = "1001";
  online.group = "50";
  online.work_dir = "/home/ada";
  const std::vector<std::string> words = {
      "-A", "bio",     "-p",          "gpu",      "--qos=normal",
      "-J", "fit-12",  "-t",          "2:00:00",  "-n",
      "4",  "-N",      "2",           "--mem=6G", "--gpus=a100:2",
      "-C", "skylake", "--array=1-8", "run.sh"};
  ASSERT_TRUE(apply_command_line(words, online).ok());

  const Submission offline =
      submission_with({{"JobID", "12_4"},
                       {"Submit", "1709287200"},
                       {"Start", "1709287500"},
                       {"End", "1709288100"},
                       {"UID", "1001"},
                       {"GID", "50"},
                       {"Account", "bio"},
                       {"Partition", "gpu"},
                       {"QOS", "normal"},
                       {"JobName", "fit-12"},
                       {"TimelimitRaw", "120"},
                       {"ReqCPUS", "4"},
                       {"ReqNodes", "2"},
                       {"ReqMem", "12G"},
                       {"ReqTRES", "billing=4,cpu=4,gres/gpu=2,gres/gpu:a100=2,mem=12G,node=2"},
                       {"WorkDir", "/home/ada"},
                       {"Constraints", "skylake"},
                       {"SubmitLine", "sbatch -A bio -p gpu -t 2:00:00 -n 4 --array=1-8 run.sh"}});
  const Features expected = features_of(online);
  const Features features = features_of(offline);
  for (size_t field = 0; field < kCategoryCount; ++field) {
    EXPECT_EQ(features.category[field], expected.category[field]) << kCategoryNames[field];
  }
  for (size_t index = 0; index < kNumberCount; ++index) {
    EXPECT_FLOAT_EQ(features.number[index], expected.number[index]) << kNumberNames[index];
  }
}

}  // namespace
}  // namespace auspex
