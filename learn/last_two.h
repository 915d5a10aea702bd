// SPDX-License-Identifier: Apache-2.0
// LastTwo: the field's classic baseline, the mean of a user's last two runtimes.
// Source: Tsafrir, Etsion, Feitelson, "Backfilling using system-generated predictions rather than
// user runtime estimates", TPDS 2007.
#pragma once

#include <array>
#include <cstdint>
#include <queue>
#include <unordered_map>
#include <vector>

#include "learn/dataset.h"

namespace auspex {

class LastTwo {
 public:
  // Jobs must come in order of submission. Runtimes count from the moment the job had ended.
  // Without any the user's limit is the answer. Units: seconds, within [1, limit].
  double predict_s(const HistoryJob& job);

  // Lets a job's runtime be known from its end on.
  void add(const HistoryJob& job);

 private:
  struct Ending {
    int64_t end_s;
    uint64_t sequence;  // equal ends in order of submission
    uint64_t owner;
    double runtime_s;
    bool operator>(const Ending& other) const {
      return end_s != other.end_s ? end_s > other.end_s : sequence > other.sequence;
    }
  };
  struct Past {
    std::array<double, 2> runtime_s{};
    uint64_t count = 0;
  };

  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> running_;
  std::unordered_map<uint64_t, Past> past_;
  uint64_t sequence_ = 0;
};

}  // namespace auspex
