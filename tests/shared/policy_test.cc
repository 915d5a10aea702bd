// SPDX-License-Identifier: Apache-2.0
#include "shared/policy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace auspex {
namespace {

// Every quantile the same: the limit is what one computes by hand.
Prediction certain(double runtime_min) {
  Prediction p;
  p.quantiles_s.fill(60 * runtime_min);
  p.accuracy_point_s = 60 * runtime_min;
  p.model = "1f3a0b2c";
  return p;
}

Config config_in(Mode mode) {
  Config config;
  config.mode = mode;
  config.limits = {.floor_min = 10, .round_min = 5, .margin = 1.0};
  return config;
}

Submission batch_job(uint32_t limit_min) {
  Submission s;
  s.time_limit_min = limit_min;
  s.script = "#!/bin/sh\n";
  return s;
}

Decision decide_guarded(const Submission& s, double runtime_min) {
  const Prediction p = certain(runtime_min);
  return decide(s, &p, config_in(Mode::kGuarded));
}

TEST(Policy, TightensTheLimitToTheQuantile) {
  const Decision d = decide_guarded(batch_job(1440), 190);
  EXPECT_EQ(d.why, Why::kModel);
  EXPECT_EQ(d.asked_min, 1440U);
  EXPECT_EQ(d.applied_min, 190U);
  EXPECT_EQ(d.edits.time_limit_min, 190U);
  EXPECT_TRUE(d.changed());
  EXPECT_EQ(d.edits.admin_comment,
            "auspex:1 asked=1440 applied=190 p50=190 q=0.9 mode=guarded model=1f3a0b2c why=model "
            "steps=3");
  EXPECT_EQ(
      d.edits.message,
      "auspex: time limit 1-00:00:00 -> 03:10:00: 90 % of jobs like this one are predicted "
      "to end within it; if yours does not, it is extended up to 1-00:00:00 (keep yours with: "
      "#AUSPEX off)");
}

TEST(Policy, AppliesMarginRoundingAndFloor) {
  Config config = config_in(Mode::kHard);
  config.limits = {.floor_min = 30, .round_min = 15, .margin = 1.5};
  const auto limit_for = [&config](double runtime_min) {
    const Prediction p = certain(runtime_min);
    return decide(batch_job(1000), &p, config).applied_min;
  };
  EXPECT_EQ(limit_for(100), 150U);
  EXPECT_EQ(limit_for(101), 165U);
  EXPECT_EQ(limit_for(1), 30U);
}

TEST(Policy, NeverRaisesALimit) {
  for (const uint32_t asked : {0U, 1U, 5U, 9U, 10U, 190U}) {
    const Decision d = decide_guarded(batch_job(asked), 190);
    EXPECT_EQ(d.why, Why::kNotBelowAsked) << asked;
    EXPECT_EQ(d.applied_min, asked);
    EXPECT_EQ(d.edits, Edits{});
  }
  EXPECT_EQ(decide_guarded(batch_job(191), 190).applied_min, 190U);
  EXPECT_EQ(decide_guarded(batch_job(0xffffffff), 190).applied_min, 190U) << "UNLIMITED";
}

TEST(Policy, ABrokenPredictionTightensNothing) {
  for (const double runtime : {std::nan(""), std::numeric_limits<double>::infinity(), 1e300}) {
    const Decision d = decide_guarded(batch_job(1440), runtime);
    EXPECT_EQ(d.edits, Edits{}) << runtime;
  }
}

TEST(Policy, TheRiskPicksTheQuantile) {
  Prediction p = certain(0);
  for (size_t i = 0; i < kQuantileCount; ++i) p.quantiles_s[i] = 6000 * kQuantileLevels[i];
  Config config = config_in(Mode::kHard);
  config.limits.round_min = 1;
  for (const auto& [risk, limit_min] : {std::pair{.5, 50U}, {.1, 90U}, {.05, 95U}, {.01, 99U}}) {
    config.risk = risk;
    EXPECT_EQ(decide(batch_job(1000), &p, config).applied_min, limit_min) << risk;
  }
}

TEST(Policy, LeavesAloneWhatHasAMeaningOfItsOwn) {
  struct Case {
    Why why;
    void (*change)(Submission&);
  };
  for (const auto& [why, change] : std::initializer_list<Case>{
           {Why::kOptOut, [](Submission& s) { s.script = "#!/bin/sh\n#AUSPEX off\n"; }},
           {Why::kOptOut, [](Submission& s) { s.environment = {"AUSPEX=off"}; }},
           {Why::kInteractive, [](Submission& s) { s.kind = SubmissionKind::kInteractive; }},
           {Why::kTimeMin, [](Submission& s) { s.time_min_min = 5; }},
           {Why::kSignal, [](Submission& s) { s.warn_time_s = 60; }},
           {Why::kSignal, [](Submission& s) { s.warn_signal = 10; }},
           {Why::kDeadline, [](Submission& s) { s.deadline_s = 1; }},
           {Why::kReservation, [](Submission& s) { s.reservation = "maint"; }},
           {Why::kNoLimitAsked, [](Submission& s) { s.time_limit_min.reset(); }}}) {
    Submission s = batch_job(1440);
    change(s);
    const Decision d = decide_guarded(s, 190);
    EXPECT_EQ(d.why, why) << why_name(d.why) << " instead of " << why_name(why);
    EXPECT_EQ(d.edits, Edits{}) << why_name(why);
    EXPECT_FALSE(d.changed());
  }
}

TEST(Policy, WithoutAModelNothingChanges) {
  const Decision d = decide(batch_job(1440), nullptr, config_in(Mode::kGuarded));
  EXPECT_EQ(d.why, Why::kNoModel);
  EXPECT_EQ(d.edits, Edits{});
}

TEST(Policy, EachModeDoesWhatItsNameSays) {
  struct Case {
    Mode mode;
    Why why;
    bool limit, audit;
  };
  for (const auto& [mode, why, limit, audit] :
       std::initializer_list<Case>{{Mode::kOff, Why::kModeOff, false, false},
                                   {Mode::kObserve, Why::kModel, false, false},
                                   {Mode::kAdvise, Why::kModel, false, true},
                                   {Mode::kSoft, Why::kSoftRefused, false, false},
                                   {Mode::kGuarded, Why::kModel, true, true},
                                   {Mode::kHard, Why::kModel, true, true}}) {
    const Prediction p = certain(190);
    const Decision d = decide(batch_job(1440), &p, config_in(mode));
    EXPECT_EQ(d.why, why) << mode_name(mode);
    EXPECT_EQ(d.edits.time_limit_min.has_value(), limit) << mode_name(mode);
    EXPECT_EQ(d.edits.admin_comment.has_value(), audit) << mode_name(mode);
    EXPECT_EQ(d.edits.message.has_value(), audit) << mode_name(mode);
    EXPECT_FALSE(d.edits.time_min_min) << mode_name(mode);
    EXPECT_EQ(d.proposed_min.value_or(0), mode == Mode::kOff ? 0U : 190U) << mode_name(mode);
  }
}

TEST(Policy, AdviceSaysWhatWouldDo) {
  const Prediction p = certain(190);
  const Decision d = decide(batch_job(1440), &p, config_in(Mode::kAdvise));
  EXPECT_EQ(d.edits.message,
            "auspex: a time limit of 03:10:00 instead of 1-00:00:00 would do: 90 % of jobs like "
            "this one are predicted to end within it");
}

Site site_of_two() {
  Site site;
  site.partitions = {{.name = "cpu", .max_min = 2880, .default_min = 60, .is_default = true},
                     {.name = "gpu", .max_min = 600}};
  return site;
}

TEST(Policy, WithoutAGuardGuardedIsAdvice) {
  Site site;
  site.guard_fault = "silent";
  const Prediction p = certain(190);
  const Decision d = decide(batch_job(1440), &p, config_in(Mode::kGuarded), site);
  EXPECT_EQ(d.why, Why::kGuardDown);
  EXPECT_EQ(d.mode, Mode::kAdvise);
  EXPECT_FALSE(d.changed());
  EXPECT_FALSE(d.edits.time_limit_min);
  EXPECT_EQ(d.proposed_min, 190U);
  EXPECT_TRUE(decide(batch_job(1440), &p, config_in(Mode::kHard), site).changed())
      << "hard needs nobody";
}

TEST(Policy, NoJobIsLedIntoAReservation) {
  Site site = site_of_two();
  Submission s = batch_job(1440);
  s.submit_time_s = 1'800'000'000;
  const Prediction p = certain(190);
  const auto why_before = [&](const char* partition, const char* asked, int64_t in_min) {
    site.blockages = {{partition, s.submit_time_s + 60 * in_min}};
    s.partition = asked;
    return decide(s, &p, config_in(Mode::kGuarded), site).why;
  };
  EXPECT_EQ(why_before("cpu", "cpu", 1439), Why::kMaintenance);
  EXPECT_EQ(why_before("cpu", "", 1439), Why::kMaintenance) << "the default partition";
  EXPECT_EQ(why_before("cpu", "big,cpu", 1439), Why::kMaintenance) << "one of a list";
  EXPECT_EQ(why_before("cpu", "cpu", 1440), Why::kModel) << "it would have ended";
  EXPECT_EQ(why_before("big", "cpu", 60), Why::kModel) << "elsewhere";
  EXPECT_EQ(why_before("cpu", "cpu", 0), Why::kModel) << "it has begun: nobody starts before it";
}

TEST(Policy, MoreThanThePartitionAllowsIsSlurmsToJudge) {
  Submission s = batch_job(700);
  s.partition = "gpu";
  const Prediction p = certain(190);
  EXPECT_EQ(decide(s, &p, config_in(Mode::kGuarded), site_of_two()).why, Why::kAbovePartition);
  s.partition = "cpu,gpu";
  EXPECT_EQ(decide(s, &p, config_in(Mode::kGuarded), site_of_two()).why, Why::kAbovePartition);
  s.time_limit_min = 600;
  EXPECT_EQ(decide(s, &p, config_in(Mode::kGuarded), site_of_two()).why, Why::kModel);
}

TEST(Policy, WithoutALimitAskedTheSiteDecides) {
  Submission s = batch_job(0);
  s.time_limit_min.reset();
  const Prediction p = certain(20);
  Config config = config_in(Mode::kGuarded);
  EXPECT_EQ(decide(s, &p, config, site_of_two()).why, Why::kNoLimitAsked);
  config.limits.when_none_asked = WhenNoneAsked::kSet;
  const Decision d = decide(s, &p, config, site_of_two());
  EXPECT_EQ(d.asked_min, 60U) << "what the partition gives";
  EXPECT_EQ(d.edits.time_limit_min, 20U);
  s.partition = "gpu";
  EXPECT_EQ(decide(s, &p, config, site_of_two()).asked_min, 600U) << "its most, without a default";
  EXPECT_EQ(decide(s, &p, config).why, Why::kNoLimitAsked) << "nothing is known of the site";
}

TEST(Policy, SoftNeedsTheSlurmThatCanDoIt) {
  const auto soft = [](uint32_t version, bool word) {
    const Prediction p = certain(190);
    Site site;
    site.slurm_version = version;
    site.soft_limits = word;
    return decide(batch_job(1440), &p, config_in(Mode::kSoft), site);
  };
  constexpr uint32_t k25_05_3 = 25 << 16 | 5 << 8 | 3, k25_05_4 = k25_05_3 + 1;
  EXPECT_EQ(soft(k25_05_3, true).why, Why::kSoftRefused);
  EXPECT_EQ(soft(k25_05_4, false).why, Why::kSoftRefused);
  EXPECT_EQ(soft(k25_05_4, false).edits, Edits{});
  const Decision d = soft(k25_05_4, true);
  EXPECT_EQ(d.why, Why::kModel);
  EXPECT_EQ(d.edits.time_min_min, 190U);
  EXPECT_FALSE(d.edits.time_limit_min) << "the hard limit stays";
}

TEST(Rules, APartitionMatchesAlsoWhereNoneOrSeveralAreNamed) {
  Config config = config_in(Mode::kObserve);
  config.rules.resize(1);
  config.rules[0].match.partition = {"cpu"};
  config.rules[0].mode = Mode::kOff;
  const Prediction p = certain(190);
  const auto rule_for = [&](const char* partition) {
    Submission s = batch_job(1440);
    s.partition = partition;
    return decide(s, &p, config, site_of_two()).rule;
  };
  EXPECT_EQ(rule_for("cpu"), 0);
  EXPECT_EQ(rule_for(""), 0) << "the default partition";
  EXPECT_EQ(rule_for("gpu,cpu"), 0);
  EXPECT_EQ(rule_for("gpu"), -1);
}

TEST(Rules, TheFirstMatchWins) {
  Config config = config_in(Mode::kObserve);
  config.rules.resize(3);
  config.rules[0].match.partition = {"debug"};
  config.rules[0].mode = Mode::kOff;
  config.rules[1].match.account = {"bio", "chem"};
  config.rules[1].match.qos = {"normal"};
  config.rules[1].mode = Mode::kGuarded;
  config.rules[1].risk = 0.01;
  config.rules[2].match.name = {"nightly-*"};
  config.rules[2].mode = Mode::kHard;
  const Prediction p = certain(190);
  const auto decided = [&](void (*change)(Submission&)) {
    Submission s = batch_job(1440);
    change(s);
    return decide(s, &p, config);
  };
  Decision d = decided([](Submission& s) {
    s.partition = "debug";
    s.account = "bio";
  });
  EXPECT_EQ(d.rule, 0);
  EXPECT_EQ(d.mode, Mode::kOff);
  d = decided([](Submission& s) {
    s.account = "chem";
    s.qos = "normal";
  });
  EXPECT_EQ(d.rule, 1);
  EXPECT_DOUBLE_EQ(d.quantile_level, 0.99);
  d = decided([](Submission& s) {
    s.account = "chem";
    s.qos = "high";
  });
  EXPECT_EQ(d.rule, -1);
  EXPECT_EQ(d.mode, Mode::kObserve);
  EXPECT_DOUBLE_EQ(d.quantile_level, 0.9);
  d = decided([](Submission& s) { s.name = "nightly-build"; });
  EXPECT_EQ(d.rule, 2);
  d = decided([](Submission& s) { s.name = "a-nightly-build"; });
  EXPECT_EQ(d.rule, -1);
}

TEST(Order, ShortJobsGoFirst) {
  Config config = config_in(Mode::kGuarded);
  config.order.weight = 1000;
  const auto factor = [&config](double runtime_min) {
    const Prediction p = certain(runtime_min);
    return decide(batch_job(20'000), &p, config).edits.site_factor.value();
  };
  for (const auto shape : {OrderShape::kLog, OrderShape::kLinear}) {
    config.order.shape = shape;
    EXPECT_LE(factor(0.02), 1000);
    EXPECT_GT(factor(10), factor(100));
    EXPECT_GT(factor(100), factor(1000));
    EXPECT_EQ(factor(7 * 24 * 60), 0);
    EXPECT_EQ(factor(14 * 24 * 60), 0);
  }
}

TEST(Order, IsOffByDefaultAndInModesThatChangeNothing) {
  const Prediction p = certain(190);
  EXPECT_FALSE(decide(batch_job(1440), &p, config_in(Mode::kGuarded)).edits.site_factor);
  Config config = config_in(Mode::kAdvise);
  config.order.weight = 1000;
  EXPECT_FALSE(decide(batch_job(1440), &p, config).edits.site_factor);
}

}  // namespace
}  // namespace auspex
