// SPDX-License-Identifier: Apache-2.0
#include "shared/perfect_hash.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string>

namespace auspex {
namespace {

constexpr size_t kMaxKeys = size_t{1} << 30;
// Source: our choice; with 4 keys to a bucket and one slot in 21 free no pilot of a million keys
// came near 2^16.
constexpr size_t kKeysPerBucket = 4;
constexpr size_t kKeysPerFreeSlot = 20;
// Source: our choice; the first attempt succeeds with all but keys made to fail.
constexpr int kAttempts = 64;
constexpr int kAttemptsPerSize = 8;

using Run = std::span<const uint64_t>;  // one bucket's keys, mixed

// The buckets of ascending mixed keys, the largest first: while there is room for them.
std::vector<Run> largest_first(const PerfectHash& hash, std::span<const uint64_t> mixed) {
  std::vector<Run> runs;
  for (size_t begin = 0, end = 0; begin < mixed.size(); begin = end) {
    const uint32_t bucket = hash.bucket(mixed[begin]);
    while (end < mixed.size() && hash.bucket(mixed[end]) == bucket) ++end;
    runs.push_back(mixed.subspan(begin, end - begin));
  }
  std::stable_sort(runs.begin(), runs.end(), [](Run a, Run b) { return a.size() > b.size(); });
  return runs;
}

// Takes the slots of the bucket's keys under this pilot, or, if one is taken, none.
bool place(const PerfectHash& hash, Run keys, uint16_t pilot, std::vector<bool>& taken) {
  for (size_t i = 0; i < keys.size(); ++i) {
    const uint32_t slot = hash.slot(keys[i], pilot);
    if (taken[slot]) {
      while (i > 0) taken[hash.slot(keys[--i], pilot)] = false;
      return false;
    }
    taken[slot] = true;
  }
  return true;
}

// Absent: no pilot fits one of the buckets.
std::optional<std::vector<uint16_t>> pilots_of(const PerfectHash& hash,
                                               std::span<const uint64_t> mixed) {
  constexpr uint32_t kPilots = std::numeric_limits<uint16_t>::max() + 1;
  std::vector<uint16_t> pilots(hash.buckets);
  std::vector<bool> taken(hash.slots);
  for (const Run keys : largest_first(hash, mixed)) {
    uint32_t pilot = 0;
    while (pilot < kPilots && !place(hash, keys, static_cast<uint16_t>(pilot), taken)) ++pilot;
    if (pilot == kPilots) return std::nullopt;
    pilots[hash.bucket(keys.front())] = static_cast<uint16_t>(pilot);
  }
  return pilots;
}

}  // namespace

Result<BuiltPerfectHash> perfect_hash_of(std::span<const uint64_t> keys) {
  const std::string of_keys = "a perfect hash of " + std::to_string(keys.size()) + " keys";
  if (keys.size() > kMaxKeys) {
    return Error{of_keys + ": at most " + std::to_string(kMaxKeys) + " are possible"};
  }
  PerfectHash hash;
  hash.buckets = static_cast<uint32_t>(keys.size() / kKeysPerBucket + 1);
  hash.slots = static_cast<uint32_t>(keys.size() + keys.size() / kKeysPerFreeSlot + 1);
  // Of all keys: who chooses some of them cannot aim them at one bucket.
  uint64_t sum = 0;
  for (const uint64_t key : keys) sum += hash.mixed(key);
  std::vector<uint64_t> mixed(keys.size());
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (attempt > 0 && attempt % kAttemptsPerSize == 0) hash.slots += hash.slots / 8 + 1;
    hash.seed = PerfectHash{}.mixed(sum + static_cast<uint64_t>(attempt));
    std::transform(keys.begin(), keys.end(), mixed.begin(),
                   [&hash](uint64_t key) { return hash.mixed(key); });
    std::sort(mixed.begin(), mixed.end());
    if (std::adjacent_find(mixed.begin(), mixed.end()) != mixed.end()) {
      return Error{of_keys + ": a key twice"};
    }
    if (auto pilots = pilots_of(hash, mixed)) return BuiltPerfectHash{hash, std::move(*pilots)};
  }
  return Error{of_keys + ": not found in " + std::to_string(kAttempts) + " attempts"};
}

}  // namespace auspex
