// SPDX-License-Identifier: Apache-2.0
#include "plugin/breaker.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace auspex::plugin {
namespace {

constexpr int64_t kMs = 1'000'000;

TEST(Breaker, LetsCallsThroughWhileAllIsWell) {
  Breaker breaker;
  EXPECT_TRUE(breaker.allows(0));
  breaker.succeeded();
  EXPECT_TRUE(breaker.allows(1));
  EXPECT_FALSE(breaker.is_open());
}

TEST(Breaker, OpensAtOnceWhenNobodyListens) {
  Breaker breaker;
  breaker.failed(/*not_there=*/true, 0);
  EXPECT_TRUE(breaker.is_open());
  EXPECT_FALSE(breaker.allows(99 * kMs));
  EXPECT_TRUE(breaker.allows(100 * kMs));
}

TEST(Breaker, ToleratesTwoLateAnswersInARow) {
  Breaker breaker;
  breaker.failed(false, 0);
  breaker.failed(false, 0);
  EXPECT_FALSE(breaker.is_open());
  breaker.succeeded();
  breaker.failed(false, 0);
  breaker.failed(false, 0);
  EXPECT_FALSE(breaker.is_open());
  breaker.failed(false, 0);
  EXPECT_TRUE(breaker.is_open());
}

TEST(Breaker, OneCallProbesTheOthersPass) {
  Breaker breaker;
  breaker.failed(true, 0);
  EXPECT_TRUE(breaker.allows(100 * kMs));
  EXPECT_FALSE(breaker.allows(100 * kMs));
  EXPECT_FALSE(breaker.allows(199 * kMs));
}

TEST(Breaker, WaitsTwiceAsLongAfterEachFailedProbeUpToACap) {
  Breaker breaker;
  breaker.failed(true, 0);
  int64_t now = 0;
  for (const int64_t wait_ms : {100, 200, 400, 800, 1600, 3200, 3200, 3200}) {
    EXPECT_FALSE(breaker.allows(now + wait_ms * kMs - 1)) << wait_ms;
    now += wait_ms * kMs;
    EXPECT_TRUE(breaker.allows(now)) << wait_ms;
    breaker.failed(true, now);
  }
}

// When the daemon dies, every call under way fails; that is one event, not many failed probes.
TEST(Breaker, CallsThatFailTogetherAreWaitedForOnce) {
  Breaker breaker;
  for (int call = 0; call < 8; ++call) breaker.failed(true, 0);
  EXPECT_FALSE(breaker.allows(100 * kMs - 1));
  EXPECT_TRUE(breaker.allows(100 * kMs));
}

TEST(Breaker, ASuccessfulProbeClosesItAndForgetsTheWaiting) {
  Breaker breaker;
  breaker.failed(true, 0);
  ASSERT_TRUE(breaker.allows(100 * kMs));
  breaker.failed(true, 100 * kMs);
  ASSERT_TRUE(breaker.allows(300 * kMs));
  breaker.succeeded();
  EXPECT_FALSE(breaker.is_open());
  EXPECT_TRUE(breaker.allows(300 * kMs));
  breaker.failed(true, 300 * kMs);
  EXPECT_TRUE(breaker.allows(400 * kMs));
}

TEST(Breaker, OnlyOneOfManyThreadsProbes) {
  Breaker breaker;
  breaker.failed(true, 0);
  std::atomic<int> probes{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] { probes += breaker.allows(150 * kMs); });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(probes, 1);
}

}  // namespace
}  // namespace auspex::plugin
