// SPDX-License-Identifier: Apache-2.0
// Lines as they leave through Slurm's own log, which goes to stderr outside of a daemon.
#include "plugin/journal.h"

#include <gtest/gtest.h>

namespace auspex::plugin {
namespace {

constexpr int64_t kMinuteNs = 60'000'000'000;

std::string logged(Journal& journal, size_t topic, int64_t now_ns, const std::string& line) {
  testing::internal::CaptureStderr();
  journal.complain(topic, now_ns, line);
  return testing::internal::GetCapturedStderr();
}

TEST(Journal, OneLineACauseAndMinuteThenTheCount) {
  Journal journal;
  EXPECT_NE(logged(journal, 0, 1, "away").find("away; jobs pass unchanged\n"), std::string::npos);
  EXPECT_EQ(logged(journal, 0, 2, "away"), "");
  EXPECT_EQ(logged(journal, 0, kMinuteNs, "away"), "");
  EXPECT_NE(logged(journal, 1, 2, "late"), "") << "another cause has its own minute";
  EXPECT_NE(logged(journal, 0, kMinuteNs + 1, "away").find("(2 more since the last such line)"),
            std::string::npos);
}

TEST(Journal, WhatADaemonSaysMakesNoLinesOfItsOwn) {
  Journal journal;
  const std::string log = logged(journal, 0, 1, "no\nfatal: a line of its own\x1b[31m");
  EXPECT_NE(log.find("no fatal: a line of its own [31m"), std::string::npos) << log;
  EXPECT_EQ(log.find('\n'), log.size() - 1) << log;
}

}  // namespace
}  // namespace auspex::plugin
