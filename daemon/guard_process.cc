// SPDX-License-Identifier: Apache-2.0
#include "daemon/guard_process.h"

#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "daemon/companion.h"

namespace auspex {
namespace {

using namespace std::chrono_literals;

// Who lives longer than this was well.
constexpr auto kWell = 60s;
constexpr std::chrono::seconds kLongestPause = 30s;
// Until one that does not end is killed; it may wait for slurmctld.
constexpr auto kFarewell = 2s;

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return "by signal " + std::to_string(WTERMSIG(status));
  return "with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

GuardProcess::GuardProcess(std::string config_path, std::string socket)
    : config_path_(std::move(config_path)),
      socket_(std::move(socket)),
      program_(companion_path("auspex-guard")),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  const itimerspec every_second = {{1, 0}, {1, 0}};
  if (timer_.get() >= 0) ::timerfd_settime(timer_.get(), 0, &every_second, nullptr);
  start();
}

GuardProcess::~GuardProcess() {
  if (pid_ == 0) return;
  ::kill(pid_, SIGTERM);
  const auto give_up = Clock::now() + kFarewell;
  while (::waitpid(pid_, nullptr, WNOHANG) == 0) {
    if (Clock::now() > give_up) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      return;
    }
    std::this_thread::sleep_for(5ms);
  }
}

void GuardProcess::start() {
  const auto started = start_companion(program_, {"--config", config_path_, "--socket", socket_,
                                                  "--parent", std::to_string(::getpid())});
  started_ = Clock::now();
  if (started) {
    pid_ = *started;
    return;
  }
  ended(0);
  if (std::exchange(told_, program_) != program_) {
    spdlog::warn("guard: {}: {}; jobs are not followed, and guarded means advise", program_,
                 started.error().message);
  }
}

void GuardProcess::ended(int status) {
  pid_ = 0;
  pause_ = Clock::now() - started_ > kWell ? 1s : std::min(2 * pause_, kLongestPause);
  start_at_ = Clock::now() + pause_;
  if (status == 0) return;
  const std::string how = how_it_ended(status);
  if (std::exchange(told_, how) == how) return;
  spdlog::warn("guard: it ended {}; until it is back, guarded means advise", how);
}

void GuardProcess::look_after() {
  uint64_t seconds = 0;
  (void)!::read(timer_.get(), &seconds, sizeof(seconds));
  int status = 0;
  if (pid_ != 0 && ::waitpid(pid_, &status, WNOHANG) == pid_) ended(status);
  if (pid_ == 0 && Clock::now() >= start_at_) start();
}

void GuardProcess::replace() const {
  if (pid_ != 0 && Clock::now() - started_ > kWell) ::kill(pid_, SIGKILL);
}

void GuardProcess::reload() const {
  if (pid_ != 0) ::kill(pid_, SIGHUP);
}

}  // namespace auspex
