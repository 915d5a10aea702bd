// SPDX-License-Identifier: Apache-2.0
// A child that says whether files are still those that were read, and what becomes of it.
#include "graph/reader/checker.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "graph/reader/model_file.h"
#include "tests/fixtures/files.h"

namespace auspex {
namespace {

class CheckerTest : public testing::Test {
 protected:
  CheckerTest() : checker_(Checker::start(::geteuid(), ::getegid()).value()) {
    fixtures::write_file(path_, "one");
  }
  ~CheckerTest() override {
    ::kill(checker_.pid(), SIGKILL);
    ::waitpid(checker_.pid(), nullptr, 0);
  }

  ModelQuestion question(uint64_t id) const {
    ModelQuestion asked;
    asked.id = id;
    asked.kind = QuestionKind::kCheck;
    asked.identity = identity_of_model(path_).value();
    asked.run.path = path_;
    return asked;
  }
  std::optional<ModelReply> answer() {
    pollfd watched = {checker_.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&watched, 1, 30'000), 1) << "no answer for half a minute";
    return checker_.take();
  }
  fixtures::TemporaryFolder folder_;
  std::string path_ = folder_ / "net.onnx";
  Checker checker_;
};

TEST_F(CheckerTest, TellsWhetherAFileIsStillTheOneThatWasRead) {
  const ModelQuestion before = question(1);
  ASSERT_TRUE(checker_.ask(before));
  const auto same = answer();
  ASSERT_TRUE(same);
  EXPECT_EQ(same->id, 1U);
  EXPECT_TRUE(same->same);
  EXPECT_TRUE(checker_.asked().empty());

  fixtures::write_file(path_, "another");
  ModelQuestion after = before;
  after.id = 2;
  ASSERT_TRUE(checker_.ask(after));
  EXPECT_FALSE(answer()->same);

  ASSERT_EQ(::unlink(path_.c_str()), 0);
  after.id = 3;
  ASSERT_TRUE(checker_.ask(after));
  EXPECT_FALSE(answer()->same);
}

TEST_F(CheckerTest, HangsWhenItsFirstAnswerIsOverdue) {
  const auto now = Checker::Clock::now();
  const auto later = now + Checker::kMost + std::chrono::hours(1);
  EXPECT_FALSE(checker_.hangs(later)) << "nobody has asked";
  ASSERT_EQ(::kill(checker_.pid(), SIGSTOP), 0);
  ASSERT_TRUE(checker_.ask(question(1)));
  ASSERT_TRUE(checker_.ask(question(2)));
  EXPECT_FALSE(checker_.hangs(now));
  EXPECT_TRUE(checker_.hangs(later));
  ASSERT_EQ(::kill(checker_.pid(), SIGCONT), 0);
  EXPECT_EQ(answer()->id, 1U);
  EXPECT_EQ(answer()->id, 2U);
  EXPECT_FALSE(checker_.hangs(later));
}

TEST_F(CheckerTest, OneThatHasEndedOwesItsAnswers) {
  ASSERT_EQ(::kill(checker_.pid(), SIGSTOP), 0);
  ASSERT_TRUE(checker_.ask(question(7)));
  ASSERT_EQ(::kill(checker_.pid(), SIGKILL), 0);
  EXPECT_FALSE(answer());
  EXPECT_TRUE(checker_.has_ended());
  EXPECT_EQ(checker_.asked(), std::deque<uint64_t>{7});
  EXPECT_FALSE(checker_.ask(question(8)));
}

TEST_F(CheckerTest, WhoeverAsksFasterThanItAnswersIsTold) {
  ASSERT_EQ(::kill(checker_.pid(), SIGSTOP), 0);
  uint64_t taken = 0;
  while (taken < 100'000 && checker_.ask(question(taken + 1))) ++taken;
  EXPECT_LT(taken, 100'000U);
  EXPECT_EQ(checker_.asked().size(), taken);
}

}  // namespace
}  // namespace auspex
