// SPDX-License-Identifier: Apache-2.0
// ExamplePool: the newest jobs as the network saw them, those that ended since the last pass, and
// older ones to go with them, so that learning the new forgets nothing.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "learn/examples.h"
#include "learn/vocabulary.h"

namespace auspex {

class ExamplePool {
 public:
  // most: examples that are kept, about 2.4 kB each; a new one takes the oldest one's place.
  ExamplePool(const Vocabulary& vocabulary, uint32_t most, uint64_t seed)
      : most_(most), examples_(vocabulary), random_(seed) {}

  // What a job looked like; the number by which it ends.
  uint64_t put(const HistoryRequest& request, const HistoryView& view);
  // fresh: to be learned in the next pass; otherwise only again.
  void end(uint64_t number, double runtime_s, bool fresh);

  size_t fresh() const { return fresh_.size(); }
  // The places of those that ended since, in order, and as many older ones behind them; none is
  // fresh afterwards.
  std::vector<uint32_t> take();
  const Examples& examples() const { return examples_; }

 private:
  uint32_t most_;
  Examples examples_;
  std::vector<uint8_t> ended_;   // by place
  std::vector<uint32_t> fresh_;  // places
  uint64_t next_ = 0;
  std::mt19937_64 random_;
};

}  // namespace auspex
