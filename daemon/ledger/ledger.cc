// SPDX-License-Identifier: Apache-2.0
#include "daemon/ledger/ledger.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>

namespace auspex {
namespace {

using namespace std::chrono_literals;

// Entries of this long are written together, in one transaction.
constexpr auto kGather = 200ms;
// Until a file that cannot be written is tried again.
constexpr auto kPause = 5s;
constexpr int64_t kForgetEvery_s = 3600;
constexpr int64_t kMicroseconds = 1'000'000;

}  // namespace

Ledger::Ledger(LedgerOptions options) : options_(std::move(options)) {
  if (!options_.path.empty()) writer_ = std::thread([this] { write_until_stopped(); });
}

Ledger::~Ledger() {
  if (!writer_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  writer_.join();
}

DecisionNumber Ledger::next_number() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto now_us = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  return last_number_ = std::max<DecisionNumber>(now_us, last_number_ + 1);
}

void Ledger::add(LedgerEntry entry) {
  if (options_.path.empty()) return;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() == kMostWaiting) {
      ++lost_;
      return;
    }
    first = waiting_.empty();
    waiting_.push_back(std::move(entry));
  }
  if (first) wake_.notify_one();
}

void Ledger::write_until_stopped() {
  std::vector<LedgerEntry> batch;
  for (bool going = true; going;) {
    {
      std::unique_lock lock(mutex_);
      const auto stopped = [this] { return stopping_; };
      const auto called = [this] { return stopping_ || !waiting_.empty(); };
      if (failing_) {
        wake_.wait_for(lock, kPause, stopped);
      } else {
        wake_.wait(lock, called);
        wake_.wait_for(lock, kGather, stopped);
      }
      going = !stopping_;
      if (batch.empty()) batch.swap(waiting_);
    }
    if (!batch.empty() && write(batch)) batch.clear();
  }
  // What came while a batch was tried again.
  const std::lock_guard lock(mutex_);
  if (batch.empty() && !waiting_.empty()) write(waiting_);
}

bool Ledger::write(const std::vector<LedgerEntry>& batch) {
  if (file_ && file_->replaced()) file_.reset();
  if (!file_) {
    auto opened = LedgerFile::open(options_.path);
    if (!opened) {
      complain(opened.error().message);
      return false;
    }
    file_.emplace(std::move(*opened));
  }
  const Status written = file_->write(batch);
  const int64_t now_s = std::time(nullptr);
  if (written && now_s >= forget_at_s_) {
    forget_at_s_ = now_s + kForgetEvery_s;
    (void)file_->forget_before((now_s - 86'400 * int64_t{options_.keep_days}) * kMicroseconds);
  }
  if (!written) {
    file_.reset();
    complain(options_.path + ": " + written.error().message);
    return false;
  }
  if (std::exchange(failing_, false)) options_.warn("ledger: it is written again");
  return true;
}

void Ledger::complain(const std::string& problem) {
  if (!std::exchange(failing_, true)) {
    options_.warn("ledger: " + problem + "; decisions are made as before, and it is tried again");
  }
}

}  // namespace auspex
