// SPDX-License-Identifier: Apache-2.0
#include "plugin/apply.h"

#include <gtest/gtest.h>

#include <cstring>

#include "ipc/protocol.h"
#include "tests/fixtures/slurm_job.h"

namespace auspex::plugin {
namespace {

using fixtures::SlurmJob;

Edits limit(uint32_t minutes) {
  Edits edits;
  edits.time_limit_min = minutes;
  return edits;
}

TEST(Objection, ALimitNeverRisesAboveWhatWasAsked) {
  SlurmJob s;
  s.job.time_limit = 60;
  EXPECT_FALSE(objection(limit(60), s.job));
  EXPECT_FALSE(objection(limit(1), s.job));
  EXPECT_EQ(objection(limit(61), s.job), "time limit 61 above the asked 60");
  EXPECT_EQ(objection(limit(0), s.job), "time limit 0");
  EXPECT_TRUE(objection(limit(NO_VAL), s.job));
  EXPECT_TRUE(objection(limit(INFINITE), s.job));
}

TEST(Objection, ALimitMayBeSetWhereNoneOrAnUnlimitedOneWasAsked) {
  SlurmJob s;
  EXPECT_EQ(s.job.time_limit, NO_VAL);
  EXPECT_FALSE(objection(limit(60), s.job));
  s.job.time_limit = INFINITE;
  EXPECT_FALSE(objection(limit(60), s.job));
}

TEST(Objection, TheLimitStaysAboveTimeMin) {
  SlurmJob s;
  s.job.time_limit = 60;
  s.job.time_min = 30;
  EXPECT_FALSE(objection(limit(30), s.job));
  EXPECT_EQ(objection(limit(29), s.job), "time limit 29 below the asked time_min 30");

  Edits edits = limit(20);
  edits.time_min_min = 20;
  EXPECT_FALSE(objection(edits, s.job));
  edits.time_min_min = 21;
  EXPECT_EQ(objection(edits, s.job), "time_min 21");
  edits.time_min_min = 0;
  EXPECT_TRUE(objection(edits, s.job));
}

TEST(Objection, BoundsTheSiteFactor) {
  SlurmJob s;
  for (const int32_t good : {-kMaxSiteFactor, 0, kMaxSiteFactor}) {
    Edits edits;
    edits.site_factor = good;
    EXPECT_FALSE(objection(edits, s.job)) << good;
  }
  for (const int32_t bad : {-kMaxSiteFactor - 1, kMaxSiteFactor + 1, INT32_MIN, INT32_MAX}) {
    Edits edits;
    edits.site_factor = bad;
    EXPECT_TRUE(objection(edits, s.job)) << bad;
  }
}

TEST(Objection, TextsAreOneLineOfBoundedLength) {
  SlurmJob s;
  for (auto member : {&Edits::comment, &Edits::admin_comment, &Edits::message}) {
    const size_t cap = member == &Edits::message ? ipc::kMaxMessageLineBytes : ipc::kMaxTextBytes;
    const auto objects = [&](const std::string& text) {
      Edits edits;
      edits.*member = text;
      return objection(edits, s.job).has_value();
    };
    EXPECT_FALSE(objects(""));
    EXPECT_FALSE(objects("caf\xc3\xa9"));
    EXPECT_FALSE(objects(std::string(cap, 'x')));
    EXPECT_TRUE(objects(std::string(cap + 1, 'x')));
    EXPECT_TRUE(objects("two\nlines"));
    EXPECT_TRUE(objects(std::string("a\0b", 3)));
    EXPECT_TRUE(objects("\x1b[31m"));
  }
}

TEST(Objection, TheCommentStaysWithinWhatSlurmTakes) {
  SlurmJob s;
  SlurmJob::set(s.job.comment, std::string(1000, 'c'));
  Edits edits;
  edits.comment = std::string(23, 'x');
  EXPECT_FALSE(objection(edits, s.job));
  edits.comment = std::string(24, 'x');
  EXPECT_EQ(objection(edits, s.job), "a comment that leaves no room for the user's");
}

TEST(Objection, TresHasOnlyTresLetters) {
  SlurmJob s;
  for (auto member : {&Edits::tres_per_job, &Edits::tres_per_node, &Edits::tres_per_socket,
                      &Edits::tres_per_task}) {
    const auto objects = [&](const std::string& text) {
      Edits edits;
      edits.*member = text;
      return objection(edits, s.job).has_value();
    };
    EXPECT_FALSE(objects("gres/gpu:1g.5gb:1"));
    EXPECT_TRUE(objects(""));
    EXPECT_TRUE(objects("gpu 1"));
    EXPECT_TRUE(objects("gpu:%s"));
    EXPECT_TRUE(objects(std::string(ipc::kMaxNameBytes + 1, 'g')));
  }
}

TEST(Apply, NothingWhereNothingIsAsked) {
  SlurmJob s, untouched;
  apply(Edits{}, s.job, &s.message);
  EXPECT_EQ(std::memcmp(&s.job, &untouched.job, sizeof(s.job)), 0);
  EXPECT_EQ(s.message, nullptr);
}

TEST(Apply, WritesEachEdit) {
  SlurmJob s;
  SlurmJob::set(s.job.tres_per_node, "gres/gpu:1");
  Edits edits;
  edits.time_limit_min = 30;
  edits.time_min_min = 10;
  edits.site_factor = -5;
  edits.tres_per_job = "a:1";
  edits.tres_per_node = "b:1";
  edits.tres_per_socket = "c:1";
  edits.tres_per_task = "d:1";
  edits.comment = "e";
  edits.admin_comment = "f";
  edits.message = "g";
  apply(edits, s.job, &s.message);
  EXPECT_EQ(s.job.time_limit, 30U);
  EXPECT_EQ(s.job.time_min, 10U);
  EXPECT_EQ(s.job.site_factor, NICE_OFFSET - 5U);
  EXPECT_STREQ(s.job.tres_per_job, "a:1");
  EXPECT_STREQ(s.job.tres_per_node, "b:1");
  EXPECT_STREQ(s.job.tres_per_socket, "c:1");
  EXPECT_STREQ(s.job.tres_per_task, "d:1");
  EXPECT_STREQ(s.job.comment, "e");
  EXPECT_STREQ(s.job.admin_comment, "f");
  EXPECT_STREQ(s.message, "g");
}

TEST(Apply, KeepsWhatStoodInTheComments) {
  SlurmJob s;
  SlurmJob::set(s.job.admin_comment, std::string(10'000, 'x'));
  SlurmJob::set(s.job.comment, "");
  Edits edits;
  edits.admin_comment = "auspex:1";
  edits.comment = "new";
  apply(edits, s.job, nullptr);
  EXPECT_EQ(std::string(s.job.admin_comment), std::string(10'000, 'x') + " auspex:1");
  EXPECT_STREQ(s.job.comment, "new");
}

TEST(Apply, KeepsAnotherPluginsMessage) {
  SlurmJob s;
  SlurmJob::set(s.message, "theirs");
  Edits edits;
  edits.message = "ours";
  apply(edits, s.job, &s.message);
  EXPECT_STREQ(s.message, "theirs");
}

}  // namespace
}  // namespace auspex::plugin
