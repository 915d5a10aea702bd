// SPDX-License-Identifier: Apache-2.0
// Ledger: every decision and what became of it, in an SQLite file. For statistics and stories: no
// decision and no extension depends on it. The loop never waits for it: a thread writes.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/ledger/ledger_file.h"

namespace auspex {

struct LedgerOptions {
  std::string path;  // empty: none is kept
  uint32_t keep_days = 400;
  // Told in one line what is wrong with the file, and that it is right again. Threads: the
  // writer's.
  std::function<void(const std::string&)> warn = [](const std::string&) {};
};

class Ledger {
 public:
  explicit Ledger(LedgerOptions options);
  ~Ledger();  // what is waiting is written, if it can be
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // One thread, the loop's. What does not fit is lost and counted.
  void add(LedgerEntry entry);
  DecisionNumber next_number();
  uint64_t lost() const { return lost_; }

 private:
  static constexpr size_t kMostWaiting = 1U << 16;

  void write_until_stopped();
  bool write(const std::vector<LedgerEntry>& batch);
  void complain(const std::string& problem);

  LedgerOptions options_;
  DecisionNumber last_number_ = 0;
  uint64_t lost_ = 0;

  // The writer's.
  std::optional<LedgerFile> file_;
  bool failing_ = false;
  int64_t forget_at_s_ = 0;

  std::mutex mutex_;  // guards the two below
  std::vector<LedgerEntry> waiting_;
  bool stopping_ = false;
  std::condition_variable wake_;
  std::thread writer_;
};

}  // namespace auspex
