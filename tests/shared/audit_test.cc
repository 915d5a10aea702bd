// SPDX-License-Identifier: Apache-2.0
#include "shared/audit.h"

#include <gtest/gtest.h>

#include "shared/units.h"

namespace auspex {
namespace {

const std::string kText =
    "auspex:1 asked=1440 applied=190 p50=112 q=0.95 mode=guarded model=1f3a why=model steps=3";

Audit audit() {
  return {.asked_min = 1440,
          .applied_min = 190,
          .p50_min = 112,
          .level = .95,
          .mode = Mode::kGuarded,
          .model = "1f3a",
          .why = "model",
          .steps = 3,
          .limit_min = 190};
}

TEST(Audit, IsOneLineThatCanBeReadAgain) {
  EXPECT_EQ(audit_text(audit()), kText);
  EXPECT_EQ(find_audit(kText), audit());
}

TEST(Audit, TellsWhatWasDoneSince) {
  Audit after = audit();
  after.limit_min = 607;
  after.extended = 1;
  after.was_min = 190;
  after.looks = 2;
  after.first_min = 1440;
  EXPECT_EQ(audit_text(after), kText + " limit=607 extended=1 was=190 looks=2 first=1440");
  EXPECT_EQ(find_audit(audit_text(after)), after);
}

TEST(Audit, KnowsNoLimit) {
  Audit unlimited = audit();
  unlimited.asked_min = kUnlimitedMin;
  EXPECT_NE(audit_text(unlimited).find("asked=UNLIMITED "), std::string::npos);
  EXPECT_EQ(find_audit(audit_text(unlimited)), unlimited);
}

TEST(Audit, IsFoundBehindWhatStoodThere) {
  EXPECT_EQ(find_audit("project 12 " + kText), audit());
  EXPECT_EQ(find_audit(kText + " ticket=77"), audit()) << "a word that is not ours ends it";
  EXPECT_EQ(find_audit("auspex:1 asked=9 applied=8 mode=hard " + kText), audit()) << "the last one";
}

TEST(Audit, SurvivesWhatOthersGlueToIt) {
  for (const std::string tail : {";ticket", ",ticket=7", "|x", "\nnote", " why=mine steps=9",
                                 " auspex:1 was here", " auspex:1 asked=x applied=3 mode=hard"}) {
    EXPECT_EQ(find_audit(kText + tail), audit()) << tail;
    EXPECT_EQ(find_audit("lua;" + kText + tail), audit()) << tail;
    EXPECT_EQ(with_audit(kText + tail, audit()), kText + tail);
  }
}

TEST(Audit, KeepsWhatStandsAroundIt) {
  Audit after = audit();
  after.limit_min = 607;
  EXPECT_EQ(with_audit("", after), audit_text(after));
  EXPECT_EQ(with_audit("note", after), "note " + audit_text(after));
  EXPECT_EQ(with_audit("a " + kText + " ticket=77 b", after),
            "a " + audit_text(after) + " ticket=77 b");
}

TEST(Audit, IsNotMadeUpFromWhatIsNone) {
  for (const std::string text :
       {"", "auspex:1", "auspex:1 ", "auspex:2 asked=1440 applied=190 mode=guarded",
        "xauspex:1 asked=1440 applied=190 mode=guarded", "auspex:1 asked=1440 mode=guarded",
        "auspex:1 asked=x applied=190 mode=guarded", "auspex:1 asked=-5 applied=190 mode=guarded",
        "auspex:1 asked=1440 applied=190 mode=bold", "auspex:1 asked=1440 applied=190",
        "auspex:1 asked=99999999999 applied=190 mode=guarded",
        "auspex:1 asked=1440 applied=190 mode=guarded steps=4294967295"}) {
    EXPECT_EQ(find_audit(text), std::nullopt) << text;
  }
}

TEST(Audit, EveryTruncationIsReadOrRefused) {
  for (size_t size = 0; size < kText.size(); ++size) {
    const auto found = find_audit(kText.substr(0, size));
    if (found) {
      EXPECT_EQ(found->asked_min, 1440U) << size;
      EXPECT_EQ(found->mode, Mode::kGuarded) << size;
    }
  }
}

}  // namespace
}  // namespace auspex
