// SPDX-License-Identifier: Apache-2.0
// KeyTable: what the history keeps under the keys of one kind. Bounded: the key that was touched
// longest ago makes room.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "shared/history/past.h"

namespace auspex {

// One job that ended. Logs are natural, of seconds and counts; NaN: not known.
struct Past {
  int64_t end_s = 0;
  int64_t submit_s = 0;
  float log_runtime_s = 0;
  float log_limit_s = 0;
  float log_cpus = 0;
  float log_memory = 0;
  uint64_t request = 0;  // key of HistoryKey::kRequest
  Ending ending = Ending::kDone;
};

// How jobs in flight are remembered: a count, and the starts of those that run. Up to kStarts
// different starts are exact; beyond that, neighbours in time are one entry at the earlier start,
// so that the longest running job is never forgotten, however many run.
struct Running {
  static constexpr size_t kStarts = 8;
  uint32_t queued = 0, running = 0;
  uint32_t known = 0;  // of the starts, at most kStarts; the last place is for one that comes
  std::array<int64_t, kStarts + 1> starts_s{};  // ascending
  std::array<uint32_t, kStarts + 1> jobs{};     // of each start; their sum is `running`

  void start(int64_t time_s);
  // Whatever the start: an end takes one job away, so that a lost event does not count for ever.
  void end(int64_t start_s);

 private:
  void join_nearest();
  void drop(size_t at);
};

// Simple predictions from the history; see candidates.h.
enum class Candidate : uint8_t {
  kSignatureLast,
  kSignatureMean,  // of the logs of those kept
  kSignatureMedian,
  kSignatureMax,
  kSignatureMin,
  kUserLast,
  kUserMedian,
  kUserLastTwo,  // their mean
  kLimit,
  kUserLimitLast,
  kUserCpusLast,
  kUserShare,  // of the limit that the user's jobs used lately
  kRequestMedian
};
inline constexpr size_t kCandidates = 13;

struct KeySlot {
  uint64_t key = 0;
  uint32_t newer = 0, older = 0;    // neighbours in the order of touching
  uint32_t count = 0;               // jobs that ended
  uint32_t at_limit = 0;            // of them
  uint32_t head = 0;                // where the next past goes
  float decayed_log_s = 0;          // mean of log runtimes, recent ones weigh more
  double sum = 0, sum_squares = 0;  // of log runtimes
  // Only under a user or a signature:
  Running in_flight;
  int64_t last_submit_s = 0;
  uint64_t last_signature = 0;
  uint32_t streak = 0;                        // equal requests in a row
  float used_share_log = 0;                   // decayed mean of log(runtime / limit)
  std::array<float, kCandidates> accuracy{};  // decayed mean of min/max of candidate and runtime
  std::array<float, kCandidates> judged{};    // weight behind it, 0 to 1
};

// Bytes of one entry of an unordered_map: a node, as malloc rounds it up, and its buckets. Source:
// libstdc++ doubles the buckets when there are as many entries: at most two for each, and the old
// one while they are moved.
constexpr size_t hashed_bytes(size_t entry_bytes) {
  const size_t node_bytes = sizeof(void*) + entry_bytes + sizeof(size_t);
  return (node_bytes + 15) / 16 * 16 + 3 * sizeof(void*);
}

class KeyTable {
 public:
  KeyTable(uint32_t ring, uint32_t capacity) : ring_(ring), capacity_(std::max(capacity, 1U)) {}

  // nullptr for key 0 and for one that is not kept.
  const KeySlot* find(uint64_t key) const;

  // The slot of a key other than 0, made when there is none.
  KeySlot& touch(uint64_t key);

  void add(KeySlot& slot, const Past& past);

  uint32_t kept(const KeySlot& slot) const { return std::min(slot.count, ring_); }
  // back: 0 is the newest. Needs back < kept().
  const Past& past(const KeySlot& slot, uint32_t back) const {
    const auto index = static_cast<size_t>(&slot - slots_.data());
    const uint32_t place = slot.head + ring_ - 1 - back;
    return past_[index * ring_ + (place < ring_ ? place : place - ring_)];
  }
  // Asks for the slot's jobs, which are about to be read.
  void prefetch(const KeySlot& slot) const;

  size_t size() const { return slots_.size(); }
  uint32_t ring() const { return ring_; }
  uint32_t capacity() const { return capacity_; }
  // Bytes that one more key takes, its index entry included.
  static size_t bytes_per_key(uint32_t ring);
  // Bytes per key of what exists twice while the table grows.
  static size_t growing_bytes_per_key(uint32_t ring);

  // For snapshots. `past` from the oldest to the newest, kept(saved) of them; becomes the newest.
  void restore(const KeySlot& saved, std::span<const Past> past);

  // For snapshots: slots from the oldest touched to the newest.
  template <typename Visit>
  void visit(const Visit& visit) const {
    if (slots_.empty()) return;
    for (uint32_t at = oldest_;; at = slots_[at].newer) {
      visit(slots_[at]);
      if (at == newest_) return;
    }
  }

 private:
  void grow();
  void unlink(uint32_t index);
  void link_newest(uint32_t index);

  uint32_t ring_, capacity_;
  uint32_t oldest_ = 0, newest_ = 0;
  std::vector<KeySlot> slots_;
  std::vector<Past> past_;  // Shape: [slots][ring]
  std::unordered_map<uint64_t, uint32_t> index_;
};

}  // namespace auspex
