// SPDX-License-Identifier: Apache-2.0
#include "shared/history/view.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/fixtures/past_jobs.h"

namespace auspex {
namespace {

using fixtures::run;
using fixtures::synthetic_jobs;
using fixtures::view_of;

TEST(HistoryView, AnItemKnowsHowManyPastRuntimesAreNearIt) {
  JobHistory history;
  const std::vector<HistoryJob> jobs = synthetic_jobs(300, 5);
  for (const HistoryJob& job : jobs) {
    run(history, job);
    const HistoryView view = view_of(history, job, job.end_s + 1);
    for (size_t item = 0; item < kItems; ++item) {
      if (std::isnan(view.log_s[item])) continue;
      int near = 0, very_near = 0;
      for (size_t past = 0; past < kPastItems; ++past) {
        const float distance = std::abs(view.log_s[past] - view.log_s[item]);  // NaN: none there
        near += distance < 0.2F ? 1 : 0;
        very_near += distance < 0.05F ? 1 : 0;
      }
      ASSERT_EQ(view.item[item][9], static_cast<float>(near) / 20);
      ASSERT_EQ(view.item[item][14], static_cast<float>(very_near) / 20);
    }
  }
}

}  // namespace
}  // namespace auspex
