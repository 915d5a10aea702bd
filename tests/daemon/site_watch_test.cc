// SPDX-License-Identifier: Apache-2.0
#include "daemon/site_watch.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace auspex {
namespace {

using namespace std::chrono_literals;

const SiteWatch::Clock::time_point kStart{1h};

ipc::GuardReport sound_report() {
  ipc::GuardReport report;
  report.site = Site{.slurm_version = 0x160508, .partitions = {{.name = "cpu", .max_min = 60}}};
  return report;
}

TEST(SiteWatch, NobodyStandsBeforeTheFirstWord) {
  SiteWatch watch;
  EXPECT_TRUE(watch.site(kStart).guard_fault);
  EXPECT_EQ(watch.status(kStart).at("stands"), false);
}

TEST(SiteWatch, StandsAsLongAsItReports) {
  SiteWatch watch;
  watch.take(sound_report(), kStart);
  EXPECT_FALSE(watch.site(kStart + SiteWatch::kSilence).guard_fault);
  EXPECT_EQ(watch.site(kStart).partitions.at(0).name, "cpu");
  const auto fault = watch.site(kStart + SiteWatch::kSilence + 1ms).guard_fault;
  ASSERT_TRUE(fault);
  EXPECT_NE(fault->find("silent for 10 seconds"), std::string::npos);
  watch.take({}, kStart + 20s);
  EXPECT_FALSE(watch.site(kStart + 20s).guard_fault) << "it is back";
  EXPECT_EQ(watch.site(kStart + 20s).partitions.size(), 1U) << "the site is what it was";
}

TEST(SiteWatch, TellsWhyItDoesNotStand) {
  SiteWatch watch;
  ipc::GuardReport report = sound_report();
  report.fault = "slurmctld does not answer";
  report.extended = 3;
  watch.take(report, kStart);
  EXPECT_EQ(watch.site(kStart).guard_fault, "slurmctld does not answer");
  EXPECT_EQ(watch.status(kStart).at("fault"), "slurmctld does not answer");
  EXPECT_EQ(watch.status(kStart).at("extended"), 3);
}

}  // namespace
}  // namespace auspex
