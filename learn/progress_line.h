// SPDX-License-Identifier: Apache-2.0
// ProgressLine: how training goes on, on stderr: a bar with rate and time left on a terminal, one
// plain line per epoch elsewhere.
#pragma once

#include <chrono>
#include <cstdint>

#include "learn/trainer.h"

namespace auspex {

class ProgressLine {
 public:
  explicit ProgressLine(uint32_t max_epochs);

  void show(const TrainProgress& progress);
  void clear();  // takes the bar away

 private:
  using Clock = std::chrono::steady_clock;
  void draw(const TrainProgress& progress, Clock::time_point now);

  uint32_t max_epochs_;
  bool terminal_;
  double validation_loss_ = 0;  // the best so far
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = start_ + std::chrono::seconds(2);  // shorter work needs no bar
};

}  // namespace auspex
