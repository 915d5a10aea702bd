// SPDX-License-Identifier: Apache-2.0
// Reading: a child that reads one model, because a file that leads the library astray, or a file
// system that hangs, must hold up nobody else.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "shared/file.h"
#include "shared/model_question.h"
#include "shared/result.h"

namespace auspex {

class Reading {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kMost{20};

  // folders: see open_model(). Errors: no process is to be had.
  static Result<Reading> start(const ModelQuestion& question,
                               const std::vector<std::string>& folders);
  Reading(Reading&&) = default;
  Reading& operator=(Reading&&) = default;

  int fd() const { return answer_.get(); }  // readable when take() has something
  uint64_t id() const { return id_; }
  pid_t pid() const { return pid_; }
  Clock::time_point until() const { return until_; }

  // What it says before it ends, or why it says nothing. After fd() was readable: may wait for a
  // child that is ending.
  ModelReply take();

 private:
  Reading(uint64_t id, pid_t pid, int fd)
      : id_(id), pid_(pid), answer_(fd), until_(Clock::now() + kMost) {}
  uint64_t id_;
  pid_t pid_;
  FileDescriptor answer_;
  Clock::time_point until_;
};

ModelReply refused(uint64_t id, std::string why);

}  // namespace auspex
