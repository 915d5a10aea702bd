// SPDX-License-Identifier: Apache-2.0
#include "kernels/parts.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "shared/mixture.h"

namespace auspex {
namespace {

double cdf(const Mixture& m, double x) {
  double sum = 0;
  for (uint32_t i = 0; i < m.items; ++i) {
    const double distance = (x - m.log_s[i]) / m.scale[i];
    const double tail = 0.5 * std::exp(-std::abs(distance));
    sum += m.weight[i] * (distance > 0 ? 1 - tail : tail);
  }
  for (size_t bin = 0; bin < kBins; ++bin) {
    const double low = static_cast<double>(bin) * kBinWidth;
    sum += m.bin_weight[bin] * std::clamp((x - low) / kBinWidth, 0.0, 1.0);
  }
  return sum;
}

double quantile(const Mixture& m, double level) {
  double low = 0, high = kLongestLogS;
  while (high - low > 1e-6) {
    const double middle = (low + high) / 2;
    (cdf(m, middle) < level ? low : high) = middle;
  }
  return std::min<double>(high, m.log_limit_s);
}

// E[exp(-|x - v|)] of a Laplace variable v of scale b around a distance d from x: the accuracy,
// min/max of two runtimes, is exp(-|difference of their logs|).
double expected_accuracy(double d, double b) {
  if (std::abs(b - 1) < 1e-4) return 0.5 * (1 + d) * std::exp(-d);  // the limit of the formula
  return (std::exp(-d) - b * std::exp(-d / b)) / (1 - b * b);
}

// A bin counts as its middle: it is narrow against the accuracy's scale of 1.
void consider(const Mixture& m, double x, MixturePoints& best) {
  double expected = 0;
  for (uint32_t i = 0; i < m.items; ++i) {
    expected += m.weight[i] * expected_accuracy(std::abs(x - m.log_s[i]), m.scale[i]);
  }
  for (size_t bin = 0; bin < kBins; ++bin) {
    const double middle = std::min(bin_middle(bin), m.log_limit_s);
    expected += m.bin_weight[bin] * std::exp(-std::abs(x - middle));
  }
  if (expected > best.confidence) {
    best.confidence = static_cast<float>(expected);
    best.outputs[kQuantileCount] = static_cast<float>(x);
  }
}

}  // namespace

MixturePoints no_points() {
  MixturePoints points;
  points.outputs.fill(std::numeric_limits<float>::quiet_NaN());
  points.mean_s = std::numeric_limits<float>::infinity();
  return points;
}

MixturePoints reference_points(const Mixture& m) {
  if (!std::isfinite(cdf(m, kLongestLogS))) return no_points();
  MixturePoints points;
  for (size_t i = 0; i < kQuantileCount; ++i) {
    points.outputs[i] = static_cast<float>(quantile(m, kQuantileLevels[i]));
  }

  for (uint32_t i = 0; i < m.items; ++i) consider(m, m.log_s[i], points);
  for (size_t bin = 0; bin < kBins; ++bin) {
    consider(m, std::min(bin_middle(bin), m.log_limit_s), points);
  }

  double mean_s = 0, below = cdf(m, 0);
  mean_s += below;
  for (size_t bin = 0; bin < kBins; ++bin) {
    const double up_to = cdf(m, static_cast<double>(bin + 1) * kBinWidth);
    mean_s += (up_to - below) * std::exp(std::min(bin_middle(bin), m.log_limit_s));
    below = up_to;
  }
  points.mean_s = static_cast<float>(mean_s);
  return points;
}

}  // namespace auspex
