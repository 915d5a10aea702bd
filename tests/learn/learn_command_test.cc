// SPDX-License-Identifier: Apache-2.0
// auspex learn as a program: it follows a daemon's journal and publishes better models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "shared/history/journal.h"
#include "shared/model_file.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/histories.h"
#include "tests/fixtures/models.h"

namespace auspex {
namespace {

using testing::HasSubstr;

class LearnProgram : public testing::Test {
 protected:
  void SetUp() override {
    fixtures::write_file(folder_ / "jobs", fixtures::swf_history(400, 3));
    fixtures::write_file(
        folder_ / "auspex.yaml",
        "model: " + (folder_ / "model") + "\nhistory: {state: " + (folder_ / "state") + "}\n");
    ASSERT_EQ(run("train --jobs " + (folder_ / "jobs") + " --format swf --batch 32 --out " +
                  (folder_ / "model")),
              0)
        << complained();
  }

  int run(const std::string& words) {
    const std::string command = AUSPEX_BINARY_DIR "/auspex " + words + " >" + (folder_ / "stdout") +
                                " 2>" + (folder_ / "stderr");
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  int learn(const std::string& words = "") {
    return run("learn --every 50 --config " + (folder_ / "auspex.yaml") + " " + words);
  }
  // Follows the journal for so long and is killed; the status of waitpid().
  int learn_for(std::chrono::milliseconds time) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::execl(AUSPEX_BINARY_DIR "/auspex-learn", "auspex-learn", "learn", "--follow", "--every",
              "50", "--config", (folder_ / "auspex.yaml").c_str(), nullptr);
      ::_exit(127);
    }
    std::this_thread::sleep_for(time);
    ::kill(child, SIGKILL);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status;
  }
  std::string printed() const { return fixtures::read_file(folder_ / "stdout"); }
  std::string complained() const { return fixtures::read_file(folder_ / "stderr"); }
  std::string model() const { return fixtures::read_file(folder_ / "model"); }

  // Jobs of one user, one after the other; each takes `runtime_s`.
  std::vector<HistoryEvent> jobs(size_t count, double runtime_s) {
    std::vector<HistoryEvent> events;
    for (size_t i = 0; i < count; ++i) {
      const HistoryJob job = fixtures::history_job("new", next_s_, runtime_s, 600);
      next_s_ += 10'000;
      events.push_back({EventKind::kSubmitted, Ending::kDone, job.request, 0, 0, 0, {}});
      events.push_back(
          {EventKind::kEnded, Ending::kDone, job.request, 0, job.end_s, job.runtime_s, {}});
    }
    return events;
  }

  fixtures::TemporaryFolder folder_;
  int64_t next_s_ = 1'000'000;
};

TEST_F(LearnProgram, publishes_a_model_once_it_predicts_better) {
  Result<JournalFile> journal = JournalFile::create(folder_ / "state.journal", 0);
  ASSERT_TRUE(journal.ok()) << journal.error().message;
  ASSERT_TRUE(journal->append(jobs(400, 1234)).ok());
  const std::string before = model();
  ASSERT_EQ(learn(), 0) << complained();
  EXPECT_THAT(printed(), HasSubstr("published"));
  EXPECT_NE(model(), before);
  EXPECT_TRUE(ModelFile::open(folder_ / "model").ok());
}

TEST_F(LearnProgram, says_what_it_cannot_follow) {
  EXPECT_EQ(learn(), 2);
  EXPECT_THAT(complained(), HasSubstr("state.journal"));
  ASSERT_TRUE(JournalFile::create(folder_ / "state.journal", 0).ok());
  EXPECT_EQ(learn(), 0) << "nothing to learn yet";
  EXPECT_EQ(printed(), "");
  ASSERT_TRUE(write_model_file(folder_ / "model", fixtures::constant_model(60)).ok());
  EXPECT_EQ(learn(), 2);
  EXPECT_THAT(complained(), HasSubstr("no pointer network"));
}

TEST_F(LearnProgram, killed_at_any_moment_leaves_a_good_model) {
  Result<JournalFile> journal = JournalFile::create(folder_ / "state.journal", 0);
  ASSERT_TRUE(journal.ok());
  ASSERT_TRUE(journal->append(jobs(400, 1234)).ok());
  const std::string before = model();
  bool published = false;
  for (int after_ms = 50; !published || after_ms < 1000; after_ms += 150) {
    ASSERT_LT(after_ms, 10'000) << "no run got as far as a publication";
    const int status = learn_for(std::chrono::milliseconds(after_ms));
    ASSERT_TRUE(WIFSIGNALED(status)) << "ended by itself: " << WEXITSTATUS(status);
    const auto left = ModelFile::open(folder_ / "model");
    EXPECT_TRUE(left.ok()) << after_ms << " ms: " << left.error().message;
    published = published || model() != before;
  }
}

}  // namespace
}  // namespace auspex
