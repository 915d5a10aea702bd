// SPDX-License-Identifier: Apache-2.0
#include "learn/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/fixtures/files.h"
#include "tests/fixtures/histories.h"

namespace auspex {
namespace {

using fixtures::history_job;
using testing::HasSubstr;

TEST(Dataset, reads_several_files_in_the_order_of_submission) {
  const fixtures::TemporaryFolder folder;
  const std::string rest = " 0 50 1 -1 -1 1 600 -1 1 1 1 -1 1 1 -1 -1\n";
  fixtures::write_file(folder / "late", "1 300" + rest + "2 200" + rest);
  fixtures::write_file(folder / "early", "3 250" + rest + "4 100" + rest + "not a row\n");
  const Result<History> history =
      read_history({{folder / "late", folder / "early"}, JobFormat::kSwf, {0.5}});
  ASSERT_TRUE(history.ok()) << history.error().message;
  std::vector<int64_t> submitted_s;
  for (const HistoryJob& job : history->jobs) submitted_s.push_back(job.request.submit_s);
  EXPECT_THAT(submitted_s, testing::ElementsAre(100, 200, 250, 300));
  EXPECT_EQ(history->jobs[0].end_s, 150);
  EXPECT_EQ(history->jobs[0].request.limit_s, 600);
  EXPECT_EQ(history->report.rows, 5U);
  EXPECT_EQ(history->report.bad, 1U);
  EXPECT_EQ(history->report.complaints.size(), 1U);
}

TEST(Dataset, refuses_what_it_cannot_read) {
  EXPECT_FALSE(read_history({{}, JobFormat::kSwf, {}}).ok());
  const Result<History> history = read_history({{"/nowhere"}, JobFormat::kSwf, {}});
  ASSERT_FALSE(history.ok());
  EXPECT_THAT(history.error().message, HasSubstr("/nowhere"));
}

TEST(Dataset, splits_by_what_had_ended) {
  std::vector<HistoryJob> jobs;
  for (int64_t index = 0; index < 10; ++index) {
    jobs.push_back(history_job("u", 100 * index, index == 3 ? 5000 : 50, 600));
  }
  EXPECT_EQ(submit_point_s(jobs, 0), 0);
  EXPECT_EQ(submit_point_s(jobs, 0.7), 700);
  EXPECT_EQ(submit_point_s(jobs, 1), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(submit_point_s({}, 0.5), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(completed_before(jobs, 700).size(), 6U);  // the long one still runs
  EXPECT_EQ(completed_before(jobs, 650).size(), 5U);  // ends at 650: not before it
}

}  // namespace
}  // namespace auspex
