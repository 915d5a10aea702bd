// SPDX-License-Identifier: Apache-2.0
// Mixture: the predictive distribution of one job's log(runtime in s) - Laplace kernels at past
// runtimes and candidates, and uniform bins - and the points of it that are used.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "shared/history/view.h"
#include "shared/prediction.h"

namespace auspex {

// Bins of log seconds from 1 s to about two months; the last one ends at kLongestLogS.
inline constexpr size_t kBins = 72;
inline constexpr float kLongestLogS = 15.5F;
inline constexpr float kBinWidth = kLongestLogS / kBins;
// Per item: logit of its weight, log of its kernel's scale.
inline constexpr size_t kItemHeads = 2;
// The scale of a Laplace kernel in log seconds is exp() of the head, clamped to these.
inline constexpr float kLeastLogScale = -5.0F, kMostLogScale = 0.7F;

struct Mixture {
  uint32_t items = 0;  // those present; the arrays' first ones
  alignas(64) std::array<float, kItems> log_s{};
  alignas(64) std::array<float, kItems> scale{};
  alignas(64) std::array<float, kItems> weight{};  // sum to 1 together with the bins'
  alignas(64) std::array<float, kBins> bin_weight{};
  float log_limit_s = 0;  // of the request: nothing beyond it is predicted
};

// log of seconds
inline float bin_middle(size_t bin) {
  return (static_cast<float>(bin) + 0.5F) * kBinWidth;
}
// Whether a job of this limit may fall into the bin.
inline bool bin_open(size_t bin, float log_limit_s) {
  return static_cast<float>(bin) * kBinWidth <= log_limit_s;
}

// How many: the first ones.
inline uint32_t open_bins(float log_limit_s) {
  uint32_t open = 0;
  while (open < kBins && bin_open(open, log_limit_s)) ++open;
  return open;
}

struct MixturePoints {
  std::array<float, kOutputCount> outputs{};  // as prediction_from_outputs() wants them
  float mean_s = 0;
  float confidence = 0;  // expected accuracy of the accuracy point, 0 to 1
};

}  // namespace auspex
