// SPDX-License-Identifier: Apache-2.0
#include "shared/second_look.h"

#include <gtest/gtest.h>

#include "shared/audit.h"

namespace auspex {
namespace {

Prediction certain(double runtime_min) {
  Prediction p;
  p.quantiles_s.fill(60 * runtime_min);
  p.model = "1f3a";
  return p;
}

// A job that asked for a day and got 190 minutes at first.
class Look : public testing::Test {
 protected:
  Look() {
    config.mode = Mode::kGuarded;
    config.limits = {.floor_min = 10, .round_min = 5, .margin = 1.0, .when_none_asked = {}};
    config.second_look.mode = LookMode::kOn;
    asked.time_limit_min = 1440;
    asked.partition = "cpu";
    asked.admin_comment = first();
  }
  static std::string first() {
    return "auspex:1 asked=1440 applied=190 p50=112 q=0.9 mode=guarded model=1f3a why=model "
           "steps=3";
  }
  std::optional<SecondLook> look(double runtime_min) {
    return look_again(asked, job, certain(runtime_min), config, site, 1'800'000'000);
  }
  Config config;
  Site site;
  Submission asked;
  PendingJob job = {.limit_min = 190, .site_factor = 0};
};

TEST_F(Look, TightensWhatTurnsOutShorter) {
  const auto l = look(30);
  ASSERT_TRUE(l);
  EXPECT_EQ(l->edits.time_limit_min, 30U);
  EXPECT_EQ(l->to_min, 30U);
  EXPECT_EQ(l->edits.admin_comment,
            "auspex:1 asked=1440 applied=30 p50=30 q=0.9 mode=guarded model=1f3a why=second-look "
            "steps=3 was=190 looks=1 first=190");
}

TEST_F(Look, GivesBackWhatTurnsOutLonger) {
  EXPECT_EQ(look(600)->edits.time_limit_min, 600U);
  EXPECT_EQ(look(5000)->edits.time_limit_min, 1440U) << "never above what was asked";
}

TEST_F(Look, TightensAJobThatHadKeptItsLimit) {
  asked.admin_comment = "note";
  job.limit_min = 1440;
  const auto l = look(30);
  ASSERT_TRUE(l);
  EXPECT_EQ(l->edits.time_limit_min, 30U);
  const auto audit = find_audit(*l->edits.admin_comment);
  ASSERT_TRUE(audit);
  EXPECT_EQ(audit->first_min, 1440U);
  EXPECT_EQ(audit->applied_min, 30U);
  EXPECT_TRUE(l->edits.admin_comment->starts_with("note auspex:1 "));
}

TEST_F(Look, SmallStepsAreNotWorthIt) {
  EXPECT_FALSE(look(190));
  EXPECT_FALSE(look(155));
  EXPECT_FALSE(look(225));
  EXPECT_TRUE(look(150));
  EXPECT_TRUE(look(230));
}

TEST_F(Look, LeavesAloneWhatSomebodyTouched) {
  job.limit_min = 200;
  EXPECT_FALSE(look(30));
  asked.admin_comment.clear();
  job.limit_min = 1000;
  EXPECT_FALSE(look(30)) << "not what was asked either";
  job.limit_min = 1440;
  asked.admin_comment = first() + " limit=1440 extended=1";
  EXPECT_FALSE(look(30)) << "given back before a reservation";
}

TEST_F(Look, LooksSoOftenAndNoMore) {
  asked.admin_comment = first() + " looks=2 first=1440";
  const auto l = look(30);
  ASSERT_TRUE(l);
  const auto audit = find_audit(*l->edits.admin_comment);
  EXPECT_EQ(audit->looks, 3U);
  EXPECT_EQ(audit->first_min, 1440U) << "the very first";
  asked.admin_comment = first() + " looks=3 first=1440";
  EXPECT_FALSE(look(30));
}

TEST_F(Look, TheRuleDecides) {
  config.second_look.mode = LookMode::kOff;
  EXPECT_FALSE(look(30));
  Rule& rule = config.rules.emplace_back();
  rule.match.partition = {"cpu"};
  rule.mode = Mode::kGuarded;
  rule.second_look = LookMode::kObserve;
  EXPECT_EQ(look(30)->mode, LookMode::kObserve);
  rule.second_look = LookMode::kOn;
  EXPECT_EQ(look(30)->mode, LookMode::kOn);
  rule.mode = Mode::kAdvise;
  EXPECT_FALSE(look(30)) << "advice was given";
}

TEST_F(Look, LeavesAloneWhatTheFirstLookWould) {
  asked.time_min_min = 5;
  EXPECT_FALSE(look(30));
  asked.time_min_min.reset();
  site.guard_fault = "silent";
  EXPECT_FALSE(look(30));
}

TEST_F(Look, AReservationIsNearOrFarFromNow) {
  site.partitions = {{.name = "cpu", .max_min = 2880}};
  site.blockages = {{"cpu", 1'800'000'000 + 7200}};
  asked.submit_time_s = 1'800'000'000 - 3 * 86'400;
  EXPECT_FALSE(look(30));
}

TEST_F(Look, TheOrderMovesByItself) {
  config.order = {.weight = 1000, .shape = OrderShape::kLog};
  const auto l = look(185);
  ASSERT_TRUE(l);
  EXPECT_FALSE(l->edits.time_limit_min);
  EXPECT_GT(l->edits.site_factor, 300);
  EXPECT_EQ(find_audit(*l->edits.admin_comment)->limit_min, 190U);
  job.site_factor = *l->edits.site_factor + 49;
  EXPECT_FALSE(look(185)) << "not worth it";
}

}  // namespace
}  // namespace auspex
