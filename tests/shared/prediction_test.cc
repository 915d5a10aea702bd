// SPDX-License-Identifier: Apache-2.0
#include "shared/prediction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace auspex {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

std::array<float, kOutputCount> outputs_of(double first_s, double step) {
  std::array<float, kOutputCount> outputs{};
  for (size_t i = 0; i < kOutputCount; ++i) {
    outputs[i] = static_cast<float>(std::log(first_s + step * static_cast<double>(i)));
  }
  return outputs;
}

TEST(Prediction, QuantilesAreTheTrainedOnesAndLogLinearBetween) {
  const Prediction p = prediction_from_outputs(outputs_of(100, 100).data(), kNoLimit);
  for (size_t i = 0; i < kQuantileCount; ++i) {
    EXPECT_NEAR(p.quantile_s(kQuantileLevels[i]), 100.0 * (1 + static_cast<double>(i)), .01);
  }
  EXPECT_NEAR(p.accuracy_point_s, 1000, .01);
  EXPECT_NEAR(p.quantile_s(.97), std::sqrt(800.0 * 900.0), .01) << "half way, in the log";
  EXPECT_NEAR(p.quantile_s(0), 100, .01);
  EXPECT_NEAR(p.quantile_s(1), 900, .01);
}

TEST(Prediction, RisesWithTheLevel) {
  const Prediction p = prediction_from_outputs(outputs_of(10, 77).data(), kNoLimit);
  double before = 0;
  for (int i = 0; i <= 1000; ++i) {
    const double now = p.quantile_s(i / 1000.0);
    EXPECT_GE(now, before) << i;
    before = now;
  }
}

TEST(Prediction, CrossedQuantilesAreSorted) {
  auto outputs = outputs_of(100, 100);
  std::reverse(outputs.begin(), outputs.begin() + kQuantileCount);
  const Prediction p = prediction_from_outputs(outputs.data(), kNoLimit);
  EXPECT_NEAR(p.quantile_s(.05), 100, .01);
  EXPECT_NEAR(p.quantile_s(.99), 900, .01);
}

TEST(Prediction, StaysBetweenOneSecondAndTheLimit) {
  std::array<float, kOutputCount> outputs{};
  outputs.fill(-50);
  EXPECT_EQ(prediction_from_outputs(outputs.data(), 600).quantile_s(.5), 1);
  outputs.fill(50);
  EXPECT_EQ(prediction_from_outputs(outputs.data(), 600).quantile_s(.5), 600);
  EXPECT_EQ(prediction_from_outputs(outputs.data(), 0).quantile_s(.5), 1);
}

// A model that has gone wrong must not tighten anything.
TEST(Prediction, NotANumberBecomesTheLimit) {
  std::array<float, kOutputCount> outputs{};
  outputs.fill(std::nanf(""));
  EXPECT_EQ(prediction_from_outputs(outputs.data(), 600).quantile_s(.5), 600);
  outputs.fill(std::numeric_limits<float>::infinity());
  EXPECT_EQ(prediction_from_outputs(outputs.data(), 600).quantile_s(.5), 600);
  EXPECT_TRUE(std::isfinite(prediction_from_outputs(outputs.data(), kNoLimit).quantile_s(.5)));
}

}  // namespace
}  // namespace auspex
