// SPDX-License-Identifier: Apache-2.0
#include "learn/last_two.h"

#include <algorithm>
#include <cstddef>
#include <functional>

namespace auspex {
namespace {

constexpr size_t category_index(std::string_view name) {
  size_t index = 0;
  while (kCategoryNames[index] != name) ++index;
  return index;
}

// Histories without users are scored by account, the nearest thing they have.
uint64_t owner_of(const Features& features) {
  constexpr size_t kUser = category_index("user"), kAccount = category_index("account");
  const uint64_t user = features.category[kUser];
  return user != Features::kMissing ? user : features.category[kAccount];
}

}  // namespace

double LastTwo::predict_s(const HistoryJob& job) {
  while (!running_.empty() && running_.top().end_s < job.submit_s) {
    const Ending& ended = running_.top();
    Past& past = past_[ended.owner];
    past.runtime_s[past.count++ % 2] = ended.runtime_s;
    running_.pop();
  }
  const auto found = past_.find(owner_of(job.features));
  double mean_s = job.limit_s();
  if (found != past_.end()) {
    const Past& past = found->second;
    mean_s = past.count == 1 ? past.runtime_s[0] : (past.runtime_s[0] + past.runtime_s[1]) / 2;
  }
  return std::clamp(mean_s, 1.0, std::max(1.0, job.limit_s()));
}

void LastTwo::add(const HistoryJob& job) {
  running_.push({job.end_s, sequence_++, owner_of(job.features), job.runtime_s});
}

}  // namespace auspex
