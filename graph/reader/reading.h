// SPDX-License-Identifier: Apache-2.0
// Reading: a child that reads one model, because a file that leads the library astray, or a file
// system that hangs, must hold up nobody else.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "graph/reader/child.h"
#include "shared/model_question.h"
#include "shared/result.h"

namespace auspex {

class Reading {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kMost{20};

  // folders: below which models may lie; one that is not there stays as it is written.
  // Errors: no process is to be had.
  static Result<Reading> start(const ModelQuestion& question,
                               const std::vector<std::string>& folders);
  Reading(Reading&&) = default;
  Reading& operator=(Reading&&) = default;

  // Readable when it has ended: whoever has spoken and does not go still holds the user's file.
  int fd() const { return child_.end.get(); }
  uint64_t id() const { return id_; }
  uint32_t uid() const { return uid_; }
  pid_t pid() const { return child_.pid; }
  Clock::time_point until() const { return until_; }

  // What it has said before it ended, or why it has said nothing. After fd() was readable.
  ModelReply take();

 private:
  Reading(uint64_t id, uint32_t uid, Child child)
      : id_(id), uid_(uid), child_(std::move(child)), until_(Clock::now() + kMost) {}
  uint64_t id_;
  uint32_t uid_;
  Child child_;
  Clock::time_point until_;
};

ModelReply refused(uint64_t id, std::string why);

}  // namespace auspex
