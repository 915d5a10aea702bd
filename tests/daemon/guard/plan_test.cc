// SPDX-License-Identifier: Apache-2.0
#include "daemon/guard/plan.h"

#include <gtest/gtest.h>

#include "shared/units.h"

namespace auspex {
namespace {

using Action = Plan::Action;

constexpr int64_t kNow = 1'800'000'000;
const GuardRules kRules = {.lead_s = 300, .writes_audit = true, .sweep_s = 100};
const Site kSite;

Audit audit() {
  return {.asked_min = 1440,
          .applied_min = 190,
          .mode = Mode::kGuarded,
          .model = "1f3a",
          .why = "model",
          .steps = 3,
          .limit_min = 190};
}

// Running, and with so many seconds left until its limit.
JobState running(const Audit& audit, int64_t left_s) {
  JobState job;
  job.id = 7;
  job.phase = JobPhase::kRunning;
  job.limit_min = audit.limit_min;
  job.end_s = kNow + left_s;
  job.start_s = job.end_s - 60 * int64_t{audit.limit_min};
  job.partition = "cpu";
  job.audit = audit;
  return job;
}

Plan plan(const JobState& job, const GuardRules& rules = kRules, const Site& site = kSite) {
  return plan_for(job, kNow, rules, site);
}

TEST(Plan, StepsReachFromAppliedToAsked) {
  EXPECT_EQ(step_min(audit(), 0), 190U);
  EXPECT_EQ(step_min(audit(), 1), 607U);
  EXPECT_EQ(step_min(audit(), 2), 1024U);
  EXPECT_EQ(step_min(audit(), 3), 1440U);
}

TEST(Plan, WithoutALimitAskedStepsDouble) {
  Audit unlimited = audit();
  unlimited.asked_min = kUnlimitedMin;
  EXPECT_EQ(step_min(unlimited, 1), 380U);
  EXPECT_EQ(step_min(unlimited, 2), 760U);
  EXPECT_EQ(step_min(unlimited, 3), kUnlimitedMin);
}

TEST(Plan, WaitsUntilTheLeadBegins) {
  const Plan p = plan(running(audit(), 301));
  EXPECT_EQ(p.action, Action::kWait);
  EXPECT_EQ(p.look_at_s, kNow + 1);
}

TEST(Plan, RaisesWithinTheLeadAndAfterTheLimit) {
  for (const int64_t left_s : {300, 1, 0, -29}) {
    const Plan p = plan(running(audit(), left_s));
    EXPECT_EQ(p.action, Action::kRaise) << left_s;
    EXPECT_EQ(p.limit_min, 607U) << left_s;
  }
}

TEST(Plan, SkipsStepsThatWouldLeaveNoTime) {
  // Found two weeks late: every step but the last has passed.
  EXPECT_EQ(plan(running(audit(), -20'000'000)).limit_min, 1440U);
  Audit small = audit();
  small.asked_min = 193;  // steps of a minute, less than the lead
  EXPECT_EQ(plan(running(small, 100)).limit_min, 193U);
}

TEST(Plan, AtTheUsersOwnLimitSlurmHasItsWay) {
  Audit last = audit();
  last.limit_min = 1440;
  EXPECT_EQ(plan(running(last, 10)).action, Action::kNone);
}

TEST(Plan, APendingJobIsLookedAtBeforeItCouldExpire) {
  JobState job = running(audit(), 0);
  job.phase = JobPhase::kPending;
  EXPECT_EQ(plan(job).action, Action::kWait);
  EXPECT_EQ(plan(job).look_at_s, kNow + 190 * 60 - 300);
  Audit minute = audit();
  minute.applied_min = minute.limit_min = 1;
  job.limit_min = 1;
  job.audit = minute;
  EXPECT_EQ(plan(job).look_at_s, kNow + 100) << "the next sweep sees whether it has started";
}

TEST(Plan, ASuspendedJobDoesNotExpire) {
  JobState job = running(audit(), -1000);
  job.phase = JobPhase::kSuspended;
  EXPECT_EQ(plan(job).action, Action::kWait);
}

TEST(Plan, SomebodyElsesLimitIsFinal) {
  for (const uint32_t limit_min : {100U, 191U, 607U, 5000U, kUnlimitedMin}) {
    JobState job = running(audit(), 10);
    job.limit_min = limit_min;
    EXPECT_EQ(plan(job).action, Action::kOthers) << limit_min;
  }
}

// An operator may not write admin_comment: the steps themselves tell whose a limit is.
TEST(Plan, AnOperatorKnowsItsOwnLimitsByTheSteps) {
  const GuardRules rules = {.lead_s = 300, .writes_audit = false, .sweep_s = 100};
  JobState job = running(audit(), 10);
  job.limit_min = 607;
  EXPECT_EQ(plan(job, rules).action, Action::kRaise);
  EXPECT_EQ(plan(job, rules).limit_min, 1024U);
  job.limit_min = 608;
  EXPECT_EQ(plan(job, rules).action, Action::kOthers);
}

TEST(Plan, OnlyWhatWasGuardedIsExtended) {
  for (const Mode mode : {Mode::kAdvise, Mode::kSoft, Mode::kHard}) {
    Audit other = audit();
    other.mode = mode;
    EXPECT_EQ(plan(running(other, 10)).action, Action::kNone) << mode_name(mode);
  }
  JobState job = running(audit(), 10);
  job.audit.reset();
  EXPECT_EQ(plan(job).action, Action::kNone);
  job = running(audit(), 10);
  job.phase = JobPhase::kEnded;
  EXPECT_EQ(plan(job).action, Action::kNone);
}

TEST(Plan, BeforeAReservationAPendingJobGetsItsLimitBack) {
  JobState job = running(audit(), 0);
  job.phase = JobPhase::kPending;
  const auto site_with = [](const char* partition, int64_t start_s) {
    Site site;
    site.partitions = {{.name = "cpu", .max_min = 2880}, {.name = "gpu", .max_min = 2880}};
    site.blockages = {{partition, start_s}};
    return site;
  };
  const Plan trapped = plan(job, kRules, site_with("cpu", kNow + 3600));
  EXPECT_EQ(trapped.action, Action::kRaise);
  EXPECT_EQ(trapped.limit_min, 1440U);
  EXPECT_EQ(plan(job, kRules, site_with("gpu", kNow + 3600)).action, Action::kWait);
  EXPECT_EQ(plan(job, kRules, site_with("cpu", kNow + 1440 * 60 + 99)).action, Action::kRaise)
      << "it may start before the next sweep";
  EXPECT_EQ(plan(job, kRules, site_with("cpu", kNow + 1440 * 60 + 100)).action, Action::kWait)
      << "it would have ended";
  EXPECT_EQ(plan(job, kRules, site_with("cpu", kNow - 1)).action, Action::kWait) << "it has begun";
}

// slurmctld may store the audit of an update and refuse its limit.
TEST(Plan, ARefusedRaiseIsTriedAgain) {
  JobState job = running(raised(audit(), 190, 607), 10);
  job.limit_min = 190;
  EXPECT_EQ(plan(job).action, Action::kRaise);
  EXPECT_EQ(plan(job).limit_min, 607U);
}

TEST(Plan, NeverAboveThePartition) {
  Site site;
  site.partitions = {{.name = "cpu", .max_min = 500}};
  EXPECT_EQ(plan(running(audit(), 10), kRules, site).limit_min, 500U);
  Audit at_most = audit();
  at_most.limit_min = 500;
  EXPECT_EQ(plan(running(at_most, 10), kRules, site).action, Action::kNone);
}

TEST(Plan, TheAuditKeepsCount) {
  const Audit once = raised(audit(), 190, 607);
  EXPECT_EQ(once.limit_min, 607U);
  EXPECT_EQ(once.extended, 1U);
  EXPECT_EQ(once.applied_min, 190U);
  EXPECT_EQ(plan(running(once, 10)).limit_min, 1024U);
}

}  // namespace
}  // namespace auspex
