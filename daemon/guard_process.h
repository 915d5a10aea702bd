// SPDX-License-Identifier: Apache-2.0
// GuardProcess: starts auspex-guard beside the daemon and again whenever it ends, ever more slowly.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

#include "shared/file.h"

namespace auspex {

class GuardProcess {
 public:
  // The program lies beside the daemon's own.
  GuardProcess(std::string config_path, std::string socket);
  ~GuardProcess();  // ends it
  GuardProcess(const GuardProcess&) = delete;
  GuardProcess& operator=(const GuardProcess&) = delete;

  // Readable every second: look_after() it then. -1: no timer is to be had.
  int fd() const { return timer_.get(); }
  // Threads: the main one, whose death takes the child along.
  void look_after();
  // The configuration has changed.
  void reload() const;
  // It says nothing any more: another one is started.
  void replace() const;

 private:
  using Clock = std::chrono::steady_clock;
  void start();
  void ended(int status);

  std::string config_path_, socket_, program_;
  FileDescriptor timer_;
  pid_t pid_ = 0;  // 0: none runs
  Clock::time_point started_{}, start_at_{};
  std::chrono::seconds pause_{1};
  std::string told_;  // why it ended, so that it is told once
};

}  // namespace auspex
