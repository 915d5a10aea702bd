// SPDX-License-Identifier: Apache-2.0
// Checker: a child with one user's rights, that tells whether files are still those that were read.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "graph/reader/child.h"
#include "shared/model_question.h"

namespace auspex {

class Checker {
 public:
  using Clock = std::chrono::steady_clock;
  // A file system that does not say within it what a file is, hangs. Less than the daemon waits for
  // a sign of life. Source: our choice.
  static constexpr std::chrono::seconds kMost{3};

  // Errors: no process is to be had.
  static Result<Checker> start(uint32_t uid, uint32_t gid);
  Checker(Checker&&) = default;
  Checker& operator=(Checker&&) = default;

  bool is_of(uint32_t uid, uint32_t gid) const { return uid == uid_ && gid == gid_; }
  uint32_t uid() const { return uid_; }
  pid_t pid() const { return child_.pid; }
  int fd() const { return child_.channel.get(); }  // readable when take() has something
  Clock::time_point started() const { return started_; }
  Clock::time_point used() const { return used_; }

  // false: it takes no more.
  bool ask(const ModelQuestion& question);
  // One answer. nullopt: none is there; after a while of that, has_ended() tells why.
  std::optional<ModelReply> take();
  bool has_ended() const { return ended_; }
  // What it was asked and has not answered, by id.
  const std::deque<uint64_t>& asked() const { return asked_; }
  bool hangs(Clock::time_point now) const { return !asked_.empty() && now - since_ > kMost; }

 private:
  Checker(uint32_t uid, uint32_t gid, Child child)
      : uid_(uid), gid_(gid), child_(std::move(child)), started_(Clock::now()) {}
  uint32_t uid_, gid_;
  Child child_;
  Clock::time_point started_, used_ = started_;
  Clock::time_point since_{};  // the first of asked_ has its turn
  std::deque<uint64_t> asked_;
  bool ended_ = false;
};

}  // namespace auspex
