// SPDX-License-Identifier: Apache-2.0
#include "plugin/gate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>

#include "tests/fixtures/slurm_job.h"
#include "tests/fixtures/sockets.h"

namespace auspex::plugin {
namespace {

using fixtures::Impostor;
using fixtures::RunningServer;
using fixtures::SlurmJob;
using fixtures::TemporaryFolder;

// Answers with the edits it was given; keeps the last request. The deadline it tells is long, so
// that a slow machine does not decide a test.
class Scripted final : public ipc::Service {
 public:
  ipc::DecideReply decide(const ipc::DecideRequest& request) override {
    const std::lock_guard lock(mutex_);
    last_ = request;
    most_skipped_ = std::max(most_skipped_, request.report.skipped);
    most_failures_ = std::max(most_failures_, request.report.failures);
    ++calls_;
    return {edits_, ipc::kMaxDeadline};
  }
  ipc::EventsReply take(const ipc::EventsRequest&) override { return {}; }
  ipc::GuardReply take(const ipc::GuardReport&) override { return {}; }
  ipc::LookReply look(const ipc::LookRequest&) override { return {}; }
  ipc::SiteReply site() override { return {}; }
  std::string status_json() override { return "{}"; }
  void answer(const Edits& edits) {
    const std::lock_guard lock(mutex_);
    edits_ = edits;
  }
  ipc::DecideRequest last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }
  uint64_t most_skipped() {
    const std::lock_guard lock(mutex_);
    return most_skipped_;
  }
  uint64_t most_failures() {
    const std::lock_guard lock(mutex_);
    return most_failures_;
  }
  int calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  std::mutex mutex_;
  Edits edits_;
  ipc::DecideRequest last_;
  uint64_t most_skipped_ = 0, most_failures_ = 0;
  int calls_ = 0;
};

Edits limit(uint32_t minutes) {
  Edits edits;
  edits.time_limit_min = minutes;
  edits.message = "shortened";
  return edits;
}

// Until the daemon has answered once the deadline is the short default: on a busy machine the
// first calls may come back empty-handed.
void warm_up(Gate& gate, Scripted& service) {
  const int before = service.calls();
  for (int i = 0; i < 100'000; ++i) {
    SlurmJob s;
    s.job.time_limit = 1000;
    service.answer(limit(1));
    gate.pass(&s.job, 0, nullptr);
    if (s.job.time_limit == 1) return;
  }
  FAIL() << "no answer in time, " << service.calls() - before << " calls arrived";
}

TEST(Gate, AppliesWhatTheDaemonSays) {
  const TemporaryFolder folder;
  Scripted service;
  const RunningServer server(folder / "s", service);
  Gate gate(folder / "s");
  warm_up(gate, service);
  service.answer(limit(30));
  SlurmJob s;
  s.job.time_limit = 60;
  gate.pass(&s.job, 0, &s.message);
  EXPECT_EQ(s.job.time_limit, 30U);
  EXPECT_STREQ(s.message, "shortened");
  EXPECT_EQ(service.last().submission.time_limit_min, 60U);
  EXPECT_EQ(service.last().slurm_version, static_cast<uint32_t>(SLURM_VERSION_NUMBER));
  EXPECT_GT(service.last().report.last_call_us, 0U);
}

TEST(Gate, TakesNothingOfAnAnswerThatIsPartlyWrong) {
  const TemporaryFolder folder;
  Scripted service;
  const RunningServer server(folder / "s", service);
  Gate gate(folder / "s");
  warm_up(gate, service);
  Edits wrong = limit(30);
  wrong.admin_comment = "two\nlines";
  service.answer(wrong);
  SlurmJob s;
  s.job.time_limit = 60;
  gate.pass(&s.job, 0, &s.message);
  EXPECT_EQ(s.job.time_limit, 60U);
  EXPECT_EQ(s.message, nullptr);
  service.answer({});
  gate.pass(&s.job, 0, &s.message);
  EXPECT_EQ(service.last().report.refused, 1U);
}

TEST(Gate, PassesNullPointers) {
  Gate gate("/nonexistent");
  gate.pass(nullptr, 0, nullptr);
  SlurmJob s;
  gate.pass(&s.job, 0, nullptr);
  EXPECT_EQ(s.job.time_limit, NO_VAL);
}

TEST(Gate, LeavesTheJobWhenNobodyAnswersProperly) {
  const std::vector<std::function<void(int)>> behaviours = {[](int) {},  // closes at once
                                                            [](int fd) {
                                                              char byte;
                                                              while (::recv(fd, &byte, 1, 0) > 0)
                                                                continue;  // silent
                                                            },
                                                            [](int fd) {
                                                              char byte;
                                                              while (::recv(fd, &byte, 1, 0) > 0)
                                                                ::send(fd, "garbage", 7,
                                                                       MSG_NOSIGNAL);
                                                            }};
  for (const auto& behaviour : behaviours) {
    const TemporaryFolder folder;
    const Impostor impostor(folder / "s", behaviour);
    Gate gate(folder / "s");
    for (int i = 0; i < 5; ++i) {
      SlurmJob s, untouched;
      s.job.time_limit = untouched.job.time_limit = 60;
      gate.pass(&s.job, 0, &s.message);
      EXPECT_EQ(std::memcmp(&s.job, &untouched.job, sizeof(s.job)), 0);
      EXPECT_EQ(s.message, nullptr);
    }
  }
}

TEST(Gate, FindsADaemonThatStartsLaterAndTellsWhatItMissed) {
  const TemporaryFolder folder;
  Gate gate(folder / "s");
  SlurmJob missed;
  for (int i = 0; i < 10; ++i) gate.pass(&missed.job, 0, nullptr);
  Scripted service;
  const RunningServer server(folder / "s", service);
  const auto give_up = ipc::Clock::now() + std::chrono::seconds(60);
  while (service.most_failures() == 0 && ipc::Clock::now() < give_up) {
    SlurmJob s;
    gate.pass(&s.job, 0, nullptr);
  }
  EXPECT_GE(service.most_failures(), 1U);
  EXPECT_GE(service.most_skipped(), 9U);
}

TEST(Gate, ServesManyThreadsWhileTheDaemonComesAndGoes) {
  const TemporaryFolder folder;
  Gate gate(folder / "s");
  std::atomic<bool> stop{false};
  std::atomic<int> changed{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      while (!stop) {
        SlurmJob s;
        s.job.time_limit = 60;
        gate.pass(&s.job, 0, &s.message);
        if (s.job.time_limit == 30) {
          ++changed;
        } else if (s.job.time_limit != 60) {
          ++wrong;
        }
      }
    });
  }
  for (int life = 0; life < 3; ++life) {
    Scripted service;
    service.answer(limit(30));
    const RunningServer server(folder / "s", service);
    const int before = changed;
    const auto give_up = ipc::Clock::now() + std::chrono::seconds(60);
    while (changed < before + 50 && ipc::Clock::now() < give_up) std::this_thread::yield();
    EXPECT_GE(changed, before + 50) << "life " << life;
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace auspex::plugin
