// SPDX-License-Identifier: Apache-2.0
#include "daemon/history_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <utility>

#include "shared/history/snapshot.h"

namespace auspex {
namespace {

// Between two looks at a disk that does not take what it is given, and until what it took is
// synced.
constexpr std::chrono::seconds kPause{1};

bool exists(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Status renamed(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) == 0) return Done{};
  return system_error(to);
}

}  // namespace

HistoryStore::HistoryStore(HistoryStoreOptions options)
    : options_(std::move(options)),
      history_(options_.capacity),
      fold_at_(options_.journal_records) {
  if (!options_.path.empty()) open();
  if (!keeps_) adopt_calibration();
}

HistoryStore::~HistoryStore() {
  stop();
}

void HistoryStore::set_aside(const std::string& path) const {
  if (Status aside = renamed(path, path + ".refused"); !aside) options_.warn(aside.error().message);
}

bool HistoryStore::load_saved() {
  if (!exists(options_.path)) return true;
  if (auto saved = load_history(options_.path, options_.capacity)) {
    history_ = std::move(*saved);
  } else {
    options_.warn("history: " + saved.error().message + "; set aside, the history begins anew");
    set_aside(options_.path);
  }
  const auto base = journal_base_of(options_.path);
  if (base) base_ = *base;
  if (!base) options_.warn("history: " + base.error().message + "; kept in memory only");
  return base.ok();
}

bool HistoryStore::adopt_calibration() {
  const size_t own = history_.calibration().jobs(), offered = options_.calibration.jobs();
  const bool better = own < Calibration::kLeast && own < offered;
  if (better) history_.go_on_from(options_.calibration);
  options_.calibration = Calibration(1);
  return better;
}

// Two daemons on the same files would write over each other.
bool HistoryStore::lock() {
  const std::string path = options_.path + ".lock";
  lock_ = FileDescriptor(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (lock_.get() >= 0 && ::flock(lock_.get(), LOCK_EX | LOCK_NB) == 0) return true;
  const bool taken = errno == EWOULDBLOCK;
  options_.warn(
      "history: " + (taken ? path + ": another daemon holds it" : system_error(path).message) +
      "; kept in memory only");
  return false;
}

void HistoryStore::open() {
  if (!lock() || !load_saved()) return;
  const auto refuse = [this](const Error& error) {
    options_.warn("history: " + error.message + "; kept in memory only");
  };
  bool suspicious = false, changed = false;
  if (exists(journal_path())) {
    const auto replayed = replay_journal(journal_path(), base_, history_);
    suspicious = !replayed || replayed->dropped_bytes >= kJournalRecordBytes;
    if (!replayed) {
      history_ = JobHistory(options_.capacity);
      if (!load_saved()) return;
      options_.warn("history: " + replayed.error().message +
                    "; set aside, its events are not used");
    } else if (replayed->dropped_bytes > 0) {
      options_.warn("history: " + journal_path() + ": its last " +
                    std::to_string(replayed->dropped_bytes) + " bytes are not whole records");
    }
    changed = replayed && replayed->events > 0;
  }
  if (adopt_calibration() || changed) {
    if (Status saved = save_history(history_, options_.path); !saved) return refuse(saved.error());
    const auto base = journal_base_of(options_.path);
    if (!base) return refuse(base.error());
    base_ = *base;
  }
  if (suspicious) set_aside(journal_path());
  auto created = JournalFile::create(journal_path(), base_);
  if (!created) return refuse(created.error());
  journal_.emplace(std::move(*created));
  keeps_ = true;
  waiting_.reserve(kQueue);
  writer_ = std::thread([this] { write_until_stopped(); });
}

void HistoryStore::take(const HistoryEvent& event) {
  apply(event, history_);
  ++taken_;
  if (!keeps_) return;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() == kQueue) {
      ++lost_;
      return;
    }
    first = waiting_.empty();
    waiting_.push_back(event);
  }
  if (first) wake_.notify_one();
}

std::optional<HistoryStore::JournalState> HistoryStore::journal() const {
  if (!keeps_) return std::nullopt;
  return JournalState{taken_ - lost_ - written_.load(), lost_};
}

void HistoryStore::write_until_stopped() {
  std::vector<HistoryEvent> batch;
  batch.reserve(kQueue);
  for (bool going = true; going;) {
    {
      std::unique_lock lock(mutex_);
      const auto called = [this] { return stopping_ || (!failing_ && !waiting_.empty()); };
      if (failing_ || unsynced_) {
        wake_.wait_for(lock, kPause, called);
      } else {
        wake_.wait(lock, called);
      }
      going = !stopping_;
      if (batch.empty()) batch.swap(waiting_);
    }
    if (!batch.empty() && write(batch)) batch.clear();
    const auto now = std::chrono::steady_clock::now();
    if (unsynced_ && now - synced_ >= kPause) {
      unsynced_ = !journal_->sync().ok();
      synced_ = now;
    }
  }
  // What came while a batch was tried again.
  const std::lock_guard lock(mutex_);
  if (batch.empty() && !waiting_.empty() && write(waiting_)) waiting_.clear();
}

bool HistoryStore::write(const std::vector<HistoryEvent>& batch) {
  Status appended = journal_->append(batch);
  if (!appended) {
    if (!failing_) options_.warn("history: " + appended.error().message + "; tried again");
    failing_ = true;
    return false;
  }
  failing_ = false;
  unsynced_ = true;
  written_ += batch.size();
  if (journal_->records() >= fold_at_) {
    fold_at_ = options_.journal_records;
    if (Status folded = fold_in(); !folded) {
      options_.warn("history: " + folded.error().message + "; the journal goes on");
      fold_at_ = journal_->records() + options_.journal_records;
    }
  }
  return true;
}

// From the files alone: the history itself is the loop's.
Status HistoryStore::fold_in() {
  JobHistory history(options_.capacity);
  if (base_ != 0) {
    auto saved = load_history(options_.path, options_.capacity);
    if (!saved) return saved.error();
    history = std::move(*saved);
  }
  const auto replayed = replay_journal(journal_path(), base_, history);
  if (!replayed) return replayed.error();

  const std::string new_saved = options_.path + ".new", new_journal = journal_path() + ".new";
  if (Status saved = save_history(history, new_saved); !saved) return saved;
  const auto base = journal_base_of(new_saved);
  if (!base) return base.error();
  auto created = JournalFile::create(new_journal, *base);
  if (!created) return created.error();
  // Between these two a journal stands beside a history that holds its events already; it is
  // refused by its base, so that nothing counts twice.
  if (Status moved = renamed(new_saved, options_.path); !moved) return moved;
  if (Status moved = renamed(new_journal, journal_path()); !moved) return moved;
  journal_ = std::move(*created);
  base_ = *base;
  return Done{};
}

void HistoryStore::stop() {
  if (!writer_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  writer_.join();
}

Status HistoryStore::close() {
  stop();
  if (!keeps_ || taken_ == 0) return Done{};
  keeps_ = false;
  if (Status saved = save_history(history_, options_.path); !saved) return saved;
  // All of it is saved now; one that stayed would be refused at the next start.
  if (::unlink(journal_path().c_str()) != 0) {
    return system_error(journal_path());
  }
  return Done{};
}

}  // namespace auspex
