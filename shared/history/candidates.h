// SPDX-License-Identifier: Apache-2.0
// Candidates: simple predictions from the history, at which the network may point.
#pragma once

#include <array>
#include <vector>

#include "shared/history/key_table.h"

namespace auspex {

// The slots that a request finds, nullptr where there is none, and its own figures.
struct FoundHistory {
  std::array<const KeySlot*, kHistoryKeys> slot{};
  std::array<const KeyTable*, kHistoryKeys> table{};
  float log_limit_s = 0;

  const KeySlot* of(HistoryKey kind) const { return slot[static_cast<size_t>(kind)]; }
  uint32_t kept(HistoryKey kind) const;
  const Past& past(HistoryKey kind, uint32_t back) const;
};

FoundHistory find_history(const HistoryRequest& request, const std::vector<KeyTable>& tables);

// In the order of kCandidateNames. Natural log of seconds; NaN where the history says nothing.
std::array<float, kCandidates> candidates_of(const FoundHistory& found);

}  // namespace auspex
