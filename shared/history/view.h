// SPDX-License-Identifier: Apache-2.0
// HistoryView: what the network reads of the history for one submission. Plain numbers: items that
// the prediction may point at, and a summary.
#pragma once

#include <array>
#include <cstddef>

#include "shared/history/key_table.h"
#include "shared/history/past.h"

namespace auspex {

// Items: past runtimes key by key, newest first, then candidates.
inline constexpr size_t kPastItems = 43;
inline constexpr size_t kItems = kPastItems + kCandidates;
inline constexpr size_t kItemInputs = 16;

// Per summarised key (user, signature, user+limit, user+cpus, group, queue).
inline constexpr size_t kSummarisedKeys = 6, kNumbersPerKey = 9;
inline constexpr size_t kActivityNumbers = 15;
inline constexpr size_t kHistoryNumbers =
    kSummarisedKeys * kNumbersPerKey + kActivityNumbers + 3 + 3 * kCandidates + 4;

// Changes whenever a number is computed differently: a model of another version is refused.
inline constexpr uint32_t kHistoryVersion = 1;

struct HistoryView {
  uint64_t user;            // key of the owner; 0: nobody
  float log_limit_s;        // nothing longer is predicted
  uint32_t signature_jobs;  // of the signature that ended
  // Natural log of seconds; NaN where there is no such item.
  std::array<float, kItems> log_s;
  // About the size of 1; 0 where unknown.
  std::array<std::array<float, kItemInputs>, kItems> item;
  std::array<float, kHistoryNumbers> number;
};

struct FoundHistory;
void view_of(const HistoryRequest& request, const FoundHistory& found, int64_t now_s,
             HistoryView& out);

}  // namespace auspex
