// SPDX-License-Identifier: Apache-2.0
// How fast a network learns, step by step. Included by libtorch sources.
#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace auspex {

// Rises to `height`, then falls along a cosine. Source: Loshchilov and Hutter 2017.
inline double cosine_rate(double height, int64_t step, int64_t steps) {
  constexpr int64_t kWarmUpSteps = 100;
  constexpr double kLastShare = 0.05;
  const double warm_up = std::min(1.0, static_cast<double>(step + 1) / kWarmUpSteps);
  const double done = static_cast<double>(step) / static_cast<double>(steps);
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * done));
  return height * warm_up * (kLastShare + (1 - kLastShare) * cosine);
}

inline void set_rate(torch::optim::AdamW& optimizer, double rate) {
  for (auto& group : optimizer.param_groups()) {
    static_cast<torch::optim::AdamWOptions&>(group.options()).lr(rate);
  }
}

}  // namespace auspex
