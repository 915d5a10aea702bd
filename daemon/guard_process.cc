// SPDX-License-Identifier: Apache-2.0
#include "daemon/guard_process.h"

#include <signal.h>
#include <spawn.h>
#include <spdlog/spdlog.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

extern char** environ;

namespace auspex {
namespace {

using namespace std::chrono_literals;

// Who lives longer than this was well.
constexpr auto kWell = 60s;
constexpr std::chrono::seconds kLongestPause = 30s;
// Until one that does not end is killed; it may wait for slurmctld.
constexpr auto kFarewell = 2s;

std::string program_beside_ours() {
  std::error_code unknown;
  const auto ours = std::filesystem::read_symlink("/proc/self/exe", unknown);
  return (ours.parent_path() / "auspex-guard").string();
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status)) return "by signal " + std::to_string(WTERMSIG(status));
  return "with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

GuardProcess::GuardProcess(std::string config_path, std::string socket)
    : config_path_(std::move(config_path)),
      socket_(std::move(socket)),
      program_(program_beside_ours()),
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
  const std::string parent = std::to_string(::getpid());
  const char* const argv[] = {program_.c_str(), "--config", config_path_.c_str(), "--socket",
                              socket_.c_str(),  "--parent", parent.c_str(),       nullptr};
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  const int failure = ::posix_spawn(&pid_, program_.c_str(), nullptr, &attributes,
                                    const_cast<char* const*>(argv), environ);
  posix_spawnattr_destroy(&attributes);
  started_ = Clock::now();
  if (failure != 0) {
    pid_ = 0;
    ended(0);
    if (std::exchange(told_, program_) != program_) {
      spdlog::warn("guard: {}: {}; jobs are not followed, and guarded means advise", program_,
                   std::strerror(failure));
    }
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
