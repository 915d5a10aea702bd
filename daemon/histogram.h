// SPDX-License-Identifier: Apache-2.0
// Histogram: latencies in buckets that grow by 5 %, so that a quantile is known to 5 %.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace auspex {

class Histogram {
 public:
  void add(double us);
  uint64_t count() const { return count_; }
  // Units: us; the upper edge of the bucket that holds the quantile. 0 when nothing was added.
  double quantile_us(double level) const;

 private:
  static constexpr size_t kBuckets = 340;  // 1.05^340 us = 16 s
  std::array<uint64_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
};

}  // namespace auspex
