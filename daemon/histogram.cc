// SPDX-License-Identifier: Apache-2.0
#include "daemon/histogram.h"

#include <algorithm>
#include <cmath>

namespace auspex {
namespace {
constexpr double kLogGrowth = 0.04879016416943200;  // log(1.05)
}  // namespace

void Histogram::add(double us) {
  const double at = us > 1 ? std::ceil(std::log(us) / kLogGrowth) : 0;
  ++buckets_[std::min(static_cast<size_t>(at), kBuckets - 1)];
  ++count_;
}

double Histogram::quantile_us(double level) const {
  const double wanted = level * static_cast<double>(count_);
  double seen = 0;
  for (size_t i = 0; i < kBuckets; ++i) {
    seen += static_cast<double>(buckets_[i]);
    if (seen > 0 && seen >= wanted) return std::exp(static_cast<double>(i) * kLogGrowth);
  }
  return 0;
}

}  // namespace auspex
