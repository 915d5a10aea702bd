// SPDX-License-Identifier: Apache-2.0
// Candidates: simple predictions from the history, at which the network may point.
#pragma once

#include <array>
#include <vector>

#include "shared/history/key_table.h"

namespace auspex {

// The slots that a request finds, nullptr where there is none, and its own figures.
struct FoundHistory {
  HistoryKeys keys{};
  std::array<const KeySlot*, kHistoryKeys> slot{};
  std::array<const KeyTable*, kHistoryKeys> table{};
  float log_limit_s = 0;

  const KeySlot* of(HistoryKey kind) const { return slot[static_cast<size_t>(kind)]; }
  uint32_t kept(HistoryKey kind) const;
  const Past& past(HistoryKey kind, uint32_t back) const;
};

// The log of the limit; of a week when there is none. Source: our choice, the common MaxTime.
float log_limit_of(double limit_s);

// keys: history_keys() of the request. tables: index HistoryKey.
FoundHistory find_history(const HistoryRequest& request, const HistoryKeys& keys,
                          const std::vector<KeyTable>& tables);

// Index: Candidate. Natural log of seconds; NaN where the history says nothing.
std::array<float, kCandidates> candidates_of(const FoundHistory& found);

}  // namespace auspex
