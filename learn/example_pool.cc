// SPDX-License-Identifier: Apache-2.0
#include "learn/example_pool.h"

#include <algorithm>
#include <utility>

namespace auspex {

uint64_t ExamplePool::put(const HistoryRequest& request, const HistoryView& view) {
  const auto place = static_cast<size_t>(next_ % most_);
  examples_.put(place, request, view);
  ended_.resize(std::max(ended_.size(), place + 1));
  ended_[place] = 0;
  return next_++;
}

void ExamplePool::end(uint64_t number, double runtime_s, bool fresh) {
  if (next_ - number > most_) return;  // its place was taken
  const auto place = static_cast<uint32_t>(number % most_);
  examples_.end(place, runtime_s);
  ended_[place] = 1;
  if (fresh) fresh_.push_back(place);
}

std::vector<uint32_t> ExamplePool::take() {
  std::vector<uint32_t> picked = std::exchange(fresh_, {});
  // A later job may have taken the place of one that had ended.
  std::erase_if(picked, [this](uint32_t place) { return ended_[place] == 0; });
  const size_t fresh = picked.size();
  if (fresh == 0) return picked;
  std::uniform_int_distribution<size_t> anywhere(0, examples_.size() - 1);
  while (picked.size() < 2 * fresh) {
    const size_t place = anywhere(random_);
    if (ended_[place] != 0) picked.push_back(static_cast<uint32_t>(place));
  }
  return picked;
}

}  // namespace auspex
