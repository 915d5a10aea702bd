// SPDX-License-Identifier: Apache-2.0
#include "shared/prediction.h"

#include <algorithm>
#include <cmath>

namespace auspex {

double Prediction::quantile_s(double level) const {
  const auto& levels = kQuantileLevels;
  if (level <= levels.front()) return quantiles_s.front();
  if (level >= levels.back()) return quantiles_s.back();
  const auto above =
      static_cast<size_t>(std::upper_bound(levels.begin(), levels.end(), level) - levels.begin());
  const size_t below = above - 1;
  if (level == levels[below]) return quantiles_s[below];
  const double share = (level - levels[below]) / (levels[above] - levels[below]);
  return std::exp(std::log(quantiles_s[below]) * (1 - share) +
                  std::log(quantiles_s[above]) * share);
}

Prediction prediction_from_outputs(const float* outputs, double limit_s) {
  constexpr double kLongestS = 366 * 86400.0;  // no cluster plans further; keeps numbers finite
  const double ceiling_s = std::clamp(limit_s, 1.0, kLongestS);
  // Comparing this way sends a NaN of a broken model to the ceiling: nothing is tightened then.
  // A float's log of the limit need not come back as the limit.
  const double reached_s = ceiling_s * (1 - 1e-5);
  const auto seconds = [=](float log_s) {
    const double value = std::exp(static_cast<double>(log_s));
    return value < reached_s ? std::max(value, 1.0) : ceiling_s;
  };
  Prediction out;
  for (size_t i = 0; i < kQuantileCount; ++i) out.quantiles_s[i] = seconds(outputs[i]);
  std::sort(out.quantiles_s.begin(), out.quantiles_s.end());
  out.accuracy_point_s = seconds(outputs[kQuantileCount]);
  return out;
}

}  // namespace auspex
