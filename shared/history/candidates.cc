// SPDX-License-Identifier: Apache-2.0
#include "shared/history/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace auspex {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

float median_of(std::span<float> values) {
  if (values.empty()) return kNone;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

constexpr size_t at(Candidate candidate) {
  return static_cast<size_t>(candidate);
}

}  // namespace

uint32_t FoundHistory::kept(HistoryKey kind) const {
  const KeySlot* found = of(kind);
  return found == nullptr ? 0 : table[static_cast<size_t>(kind)]->kept(*found);
}

const Past& FoundHistory::past(HistoryKey kind, uint32_t back) const {
  return table[static_cast<size_t>(kind)]->past(*of(kind), back);
}

float log_limit_of(double limit_s) {
  constexpr double kWeekS = 7 * 86400;
  return static_cast<float>(std::log(std::isfinite(limit_s) ? std::max(limit_s, 1.0) : kWeekS));
}

FoundHistory find_history(const HistoryRequest& request, const HistoryKeys& keys,
                          const std::vector<KeyTable>& tables) {
  constexpr auto kUser = static_cast<size_t>(HistoryKey::kUser);
  constexpr auto kPattern = static_cast<size_t>(HistoryKey::kPattern);
  FoundHistory found;
  found.keys = keys;
  for (size_t kind = 0; kind < kHistoryKeys; ++kind) {
    if (kind == kPattern && found.slot[kUser] != nullptr) {
      found.keys[kPattern] = pattern_key(keys[static_cast<size_t>(HistoryKey::kSignature)],
                                         found.slot[kUser]->last_signature);
    }
    found.table[kind] = &tables[kind];
    found.slot[kind] = tables[kind].find(found.keys[kind]);
    if (found.slot[kind] != nullptr) tables[kind].prefetch(*found.slot[kind]);
  }
  found.log_limit_s = log_limit_of(request.limit_s);
  return found;
}

std::array<float, kCandidates> candidates_of(const FoundHistory& found) {
  std::array<float, 16> store{};
  const auto values = [&](HistoryKey kind) {
    const uint32_t count = found.kept(kind);
    for (uint32_t back = 0; back < count; ++back) {
      store[back] = found.past(kind, back).log_runtime_s;
    }
    return std::span<float>(store.data(), count);
  };
  const auto last = [&](HistoryKey kind) {
    return found.kept(kind) == 0 ? kNone : found.past(kind, 0).log_runtime_s;
  };

  std::array<float, kCandidates> out;
  out.fill(kNone);
  if (const std::span<float> of_signature = values(HistoryKey::kSignature); !of_signature.empty()) {
    float sum = 0;
    for (const float value : of_signature) sum += value;
    out[at(Candidate::kSignatureLast)] = of_signature.front();
    out[at(Candidate::kSignatureMean)] = sum / static_cast<float>(of_signature.size());
    out[at(Candidate::kSignatureMax)] = *std::max_element(of_signature.begin(), of_signature.end());
    out[at(Candidate::kSignatureMin)] = *std::min_element(of_signature.begin(), of_signature.end());
    out[at(Candidate::kSignatureMedian)] = median_of(of_signature);
  }
  if (const std::span<float> of_user = values(HistoryKey::kUser); !of_user.empty()) {
    out[at(Candidate::kUserLast)] = of_user[0];
    out[at(Candidate::kUserLastTwo)] =
        of_user.size() == 1 ? of_user[0]
                            : std::log((std::exp(of_user[0]) + std::exp(of_user[1])) / 2);
    out[at(Candidate::kUserMedian)] = median_of(of_user);
    out[at(Candidate::kUserShare)] =
        found.log_limit_s + found.of(HistoryKey::kUser)->used_share_log;
  }
  out[at(Candidate::kLimit)] = found.log_limit_s;
  out[at(Candidate::kUserLimitLast)] = last(HistoryKey::kUserLimit);
  out[at(Candidate::kUserCpusLast)] = last(HistoryKey::kUserCpus);
  out[at(Candidate::kRequestMedian)] = median_of(values(HistoryKey::kRequest));
  // Nobody's job runs longer than the limit that the user asked for.
  for (float& value : out) value = std::min(value, found.log_limit_s);
  return out;
}

}  // namespace auspex
