// SPDX-License-Identifier: Apache-2.0
#include "learn/last_two.h"

#include <gtest/gtest.h>

#include "tests/fixtures/histories.h"

namespace auspex {
namespace {

using fixtures::history_job;

TEST(LastTwo, takes_the_limit_from_users_without_a_past) {
  LastTwo last2;
  EXPECT_EQ(last2.predict_s(history_job("a", 0, 50, 10)), 600);
  last2.add(history_job("b", 0, 50, 10));
  EXPECT_EQ(last2.predict_s(history_job("a", 1000, 50, 10)), 600);
}

TEST(LastTwo, knows_a_runtime_only_after_the_job_has_ended) {
  LastTwo last2;
  last2.add(history_job("a", 0, 100, 10));
  EXPECT_EQ(last2.predict_s(history_job("a", 100, 50, 10)), 600);  // ends in this very second
  EXPECT_EQ(last2.predict_s(history_job("a", 101, 50, 10)), 100);
}

TEST(LastTwo, is_the_mean_of_the_two_that_ended_last) {
  LastTwo last2;
  last2.add(history_job("a", 0, 400, 10));  // ends last
  last2.add(history_job("a", 1, 10, 10));
  last2.add(history_job("a", 2, 200, 10));
  EXPECT_EQ(last2.predict_s(history_job("a", 1000, 50, 10)), 300);
}

TEST(LastTwo, stays_within_the_limit) {
  LastTwo last2;
  last2.add(history_job("a", 0, 5000, 100));
  EXPECT_EQ(last2.predict_s(history_job("a", 9000, 50, 10)), 600);
  last2.add(history_job("b", 9000, 0.1, 10));
  EXPECT_EQ(last2.predict_s(history_job("b", 9100, 50, 10)), 1);
}

}  // namespace
}  // namespace auspex
