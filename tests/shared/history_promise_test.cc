// SPDX-License-Identifier: Apache-2.0
// What becomes of promises: from a submission to the calibration.
#include <gtest/gtest.h>

#include <cmath>

#include "shared/history/history.h"
#include "tests/fixtures/past_jobs.h"

namespace auspex {
namespace {

using fixtures::job_of;

TEST(JobHistoryPromise, EqualSubmissionsOfASecondShareTheFirstPromise) {
  JobHistory history;
  const HistoryJob job = job_of("ann", "a", 1000, 0, 150);
  const CalibratedLogs low = {std::log(100.F), 6, 7}, high = {std::log(1000.F), 8, 9};
  history.submitted(job.request, low);
  history.submitted(job.request, high);
  for (int i = 0; i < 3; ++i) {  // the third is nobody's
    history.ended(job.request, 0, 2000, 150, Ending::kDone);
  }
  EXPECT_EQ(history.calibration().jobs(), 2U);
  EXPECT_EQ(history.calibration().coverage(0, Recipe::kRaw), 0) << "1000 would have covered";
  history.submitted(job.request, high);
  history.ended(job.request, 0, 2000, 150, Ending::kDone);
  EXPECT_EQ(history.calibration().coverage(0, Recipe::kRaw), 1.0 / 3);
}

TEST(JobHistoryPromise, WithoutAPromiseNothingIsLearnedOfPromises) {
  JobHistory history;
  const HistoryJob job = job_of("ann", "a", 1000, 0, 150);
  history.submitted(job.request);
  history.ended(job.request, 0, 2000, 150, Ending::kDone);
  history.submitted(job.request, CalibratedLogs{4, 5, 6});
  history.ended(job.request, 0, 2000, 0, Ending::kFailed);  // never ran
  EXPECT_EQ(history.jobs(), 1U);
  EXPECT_EQ(history.calibration().jobs(), 0U);
}

}  // namespace
}  // namespace auspex
