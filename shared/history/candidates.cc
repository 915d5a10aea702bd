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

}  // namespace

uint32_t FoundHistory::kept(HistoryKey kind) const {
  const KeySlot* found = of(kind);
  return found == nullptr ? 0 : table[static_cast<size_t>(kind)]->kept(*found);
}

const Past& FoundHistory::past(HistoryKey kind, uint32_t back) const {
  return table[static_cast<size_t>(kind)]->past(*of(kind), back);
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
    out[0] = of_signature.front();
    out[1] = sum / static_cast<float>(of_signature.size());
    out[3] = *std::max_element(of_signature.begin(), of_signature.end());
    out[4] = *std::min_element(of_signature.begin(), of_signature.end());
    out[2] = median_of(of_signature);
  }
  if (const std::span<float> of_user = values(HistoryKey::kUser); !of_user.empty()) {
    out[5] = of_user[0];
    out[7] = of_user.size() == 1 ? of_user[0]
                                 : std::log((std::exp(of_user[0]) + std::exp(of_user[1])) / 2);
    out[6] = median_of(of_user);
    out[11] = found.log_limit_s + found.of(HistoryKey::kUser)->used_share_log;
  }
  out[8] = found.log_limit_s;
  out[9] = last(HistoryKey::kUserLimit);
  out[10] = last(HistoryKey::kUserCpus);
  out[12] = median_of(values(HistoryKey::kRequest));
  // Nobody's job runs longer than the limit that the user asked for.
  for (float& value : out) value = std::min(value, found.log_limit_s);
  return out;
}

}  // namespace auspex
