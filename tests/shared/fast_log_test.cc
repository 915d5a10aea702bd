// SPDX-License-Identifier: Apache-2.0
#include "shared/history/fast_log.h"

#include <gtest/gtest.h>

#include <cmath>

namespace auspex {
namespace {

TEST(FastLog, IsLog1pToThreeInTenMillion) {
  EXPECT_EQ(fast_log1p(0), 0);
  for (double x = 1e-6; x < 1e30; x *= 1.0007) {
    const auto value = static_cast<float>(x);
    const double truth = std::log1p(static_cast<double>(value));
    ASSERT_NEAR(fast_log1p(value) / truth, 1, 3e-7) << x;
  }
  for (int x = 1; x < 100'000; ++x) {
    ASSERT_NEAR(fast_log1p(static_cast<float>(x)) / std::log1p(x), 1, 3e-7) << x;
  }
}

}  // namespace
}  // namespace auspex
