// SPDX-License-Identifier: Apache-2.0
#include "daemon/call_totals.h"

#include <gtest/gtest.h>

namespace auspex {
namespace {

ipc::CallReport report(uint64_t instance, uint64_t answered, uint64_t skipped) {
  ipc::CallReport r;
  r.instance = instance;
  r.answered = answered;
  r.skipped = skipped;
  return r;
}

TEST(CallTotals, TheLastReportTellsAll) {
  CallTotals totals;
  totals.take(report(1, 5, 0));
  totals.take(report(1, 9, 3));
  EXPECT_EQ(totals.sum().answered, 9U);
  EXPECT_EQ(totals.sum().skipped, 3U);
}

TEST(CallTotals, AReportThatWasOvertakenChangesNothing) {
  CallTotals totals;
  totals.take(report(1, 9, 3));
  totals.take(report(1, 8, 3));
  EXPECT_EQ(totals.sum().answered, 9U);
}

TEST(CallTotals, ARestartedSlurmctldCountsOn) {
  CallTotals totals;
  totals.take(report(1, 9, 3));
  totals.take(report(2, 1, 0));
  totals.take(report(1, 9, 4));
  EXPECT_EQ(totals.sum().answered, 10U);
  EXPECT_EQ(totals.sum().skipped, 4U);
}

}  // namespace
}  // namespace auspex
