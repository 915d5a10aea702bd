// SPDX-License-Identifier: Apache-2.0
// HistoryStore: the job history of the daemon, and how it outlives it: a saved history and a
// journal of the events since. The loop never waits for the disk: a thread of the store writes.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "shared/history/history.h"
#include "shared/history/kept.h"

namespace auspex {

struct HistoryStoreOptions {
  std::string path;  // of the saved history; the journal lies beside it. Empty: nothing is kept
  // To go on from while too few jobs of the history were promised anything.
  Calibration calibration = Calibration();
  HistoryCapacity capacity = {};
  // A longer journal becomes part of the saved history. Source: our choice, about 50 MB.
  uint64_t journal_records = 1U << 18;
  // Told in one line what went wrong with a file. Threads: the constructor's and the writer's.
  std::function<void(const std::string&)> warn = [](const std::string&) {};
};

class HistoryStore {
 public:
  // What was kept, as far as it can be read: a file that is refused is set aside as PATH.refused;
  // a place that cannot be written, or that another daemon keeps, means a history in memory only.
  // All are warned of.
  explicit HistoryStore(HistoryStoreOptions options);
  // Without close(): as if the process had been killed, once the journal is written.
  ~HistoryStore();
  HistoryStore(const HistoryStore&) = delete;
  HistoryStore& operator=(const HistoryStore&) = delete;

  // These: one thread, the loop's.
  const JobHistory& history() const { return history_; }
  void take(const HistoryEvent& event);
  // Saves; nothing may be taken afterwards.
  Status close();

  struct JournalState {
    uint64_t unwritten = 0;  // taken, and gone if the process were killed now
    uint64_t lost = 0;       // that the writer did not keep up with: only the live history has them
  };
  // nullopt: nothing is kept.
  std::optional<JournalState> journal() const;

 private:
  // What waits for the writer, at most: 12 MB.
  static constexpr size_t kQueue = 1U << 16;

  void open();
  bool load_saved();
  bool adopt_calibration();
  void set_aside(const std::string& path) const;
  std::string journal_path() const { return journal_path_of(options_.path); }
  bool lock();
  void write_until_stopped();
  bool write(const std::vector<HistoryEvent>& batch);
  Status fold_in();
  void stop();

  HistoryStoreOptions options_;
  JobHistory history_;
  FileDescriptor lock_;  // held while the files are ours
  bool keeps_ = false;
  uint64_t taken_ = 0, lost_ = 0;

  // The writer's.
  std::optional<JournalFile> journal_;
  uint64_t base_ = 0;     // of the journal
  uint64_t fold_at_ = 0;  // records
  bool failing_ = false;  // warned of once until it works again
  bool unsynced_ = false;
  std::chrono::steady_clock::time_point synced_{};

  std::atomic<uint64_t> written_{0};
  std::mutex mutex_;  // guards the two below
  std::vector<HistoryEvent> waiting_;
  bool stopping_ = false;
  std::condition_variable wake_;
  std::thread writer_;
};

}  // namespace auspex
