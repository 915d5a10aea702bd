// SPDX-License-Identifier: Apache-2.0
#include "kernels/rounding.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/fp32_functions.h"
#include "kernels/int8_functions.h"

namespace auspex {
namespace {

constexpr float kInt8Most = 127, kInt4Most = 7;

// In steps of 1 / inverse; ties to even.
float nearest(float weight, float inverse, float most) {
  constexpr float kMagic = 12582912.0F;  // 1.5 * 2^23: what is added to it has no fraction left
  return std::clamp(weight * inverse, -most, most) + kMagic - kMagic;
}

// A column whose largest weight is not above kLeastScaled counts as zeroes.
float inverse_of(float scale) {
  return scale > kLeastScaled ? 1 / scale : 0;
}

float largest_of(std::span<const float> column) {
  float largest = 0;
  for (const float weight : column) largest = std::max(largest, std::abs(weight));
  return largest;
}

// Rounding few large weights coarsely can leave more of the many small ones.
float least_error_scale(std::span<const float> column) {
  constexpr int kTries = 14;  // down to a third; below that nothing was ever better
  const float widest = largest_of(column) / kInt4Most;
  float best = widest;
  float least = std::numeric_limits<float>::infinity();
  for (int i = 0; i < kTries; ++i) {
    const float scale = widest * (1 - 0.05F * static_cast<float>(i));
    const float inverse = inverse_of(scale);
    float error = 0;
    for (const float weight : column) {
      const float off = weight * inverse - nearest(weight, inverse, kInt4Most);
      error += off * off;
    }
    error *= scale * scale;
    if (error < least) {
      least = error;
      best = scale;
    }
  }
  return best;
}

// Of each four the two smallest become zero.
void keep_pairs(std::span<float> column) {
  for (size_t first = 0; first < column.size(); first += 4) {
    const std::span<float> four = column.subspan(first, std::min<size_t>(4, column.size() - first));
    std::array<size_t, 4> order;
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(four.size()),
                     [&](size_t a, size_t b) { return std::abs(four[a]) > std::abs(four[b]); });
    for (size_t i = 2; i < four.size(); ++i) four[order[i]] = 0;
  }
}

}  // namespace

namespace {

// A column's scale is its largest weight alone: row by row, as the weights lie.
void round_int8(const LayerView& layer, RoundedWeights& out) {
  const size_t columns = layer.outputs;
  for (size_t row = 0; row < out.rows; ++row) {
    const float* const weights = layer.weights + row * columns;
    for (size_t c = 0; c < columns; ++c) {
      out.scales[c] = std::max(out.scales[c], std::abs(weights[c]));
    }
  }
  std::vector<float> inverse(columns);
  for (size_t c = 0; c < columns; ++c) inverse[c] = inverse_of(out.scales[c] /= kInt8Most);
  for (size_t row = 0; row < out.rows; ++row) {
    const float* const weights = layer.weights + row * columns;
    int8_t* const values = out.values.data() + row * columns;
    for (size_t c = 0; c < columns; ++c) {
      values[c] = static_cast<int8_t>(nearest(weights[c], inverse[c], kInt8Most));
    }
  }
}

// Columns are looked at whole, those of a cache line at a time.
void round_by_columns(const LayerView& layer, bool int4, RoundedWeights& out) {
  const size_t rows = out.rows;
  const float most = int4 ? kInt4Most : kInt8Most;
  constexpr uint32_t kBlock = 16;
  std::vector<float> columns(kBlock * rows);
  for (uint32_t first = 0; first < layer.outputs; first += kBlock) {
    const uint32_t count = std::min(kBlock, layer.outputs - first);
    for (size_t i = 0; i < rows; ++i) {
      for (size_t c = 0; c < count; ++c) {
        columns[c * rows + i] = layer.weights[i * layer.outputs + first + c];
      }
    }
    float inverse[kBlock];
    for (size_t c = 0; c < count; ++c) {
      const std::span<float> column(columns.data() + c * rows, rows);
      if (!int4) keep_pairs(column);
      const float scale = int4 ? least_error_scale(column) : largest_of(column) / most;
      out.scales[first + c] = scale;
      inverse[c] = inverse_of(scale);
    }
    for (size_t i = 0; i < rows; ++i) {
      for (size_t c = 0; c < count; ++c) {
        out.values[i * layer.outputs + first + c] =
            static_cast<int8_t>(nearest(columns[c * rows + i], inverse[c], most));
      }
    }
  }
}

}  // namespace

RoundedWeights rounded(const LayerView& layer, uint32_t rows, Precision precision) {
  RoundedWeights out{rows, layer.outputs, {}, std::vector<float>(layer.outputs)};
  out.values.resize(size_t{rows} * layer.outputs);
  if (precision == Precision::kInt8) {
    round_int8(layer, out);
  } else {
    round_by_columns(layer, precision == Precision::kInt4, out);
  }
  return out;
}

uint16_t bf16_of(float value) {
  constexpr float kLargest = std::bit_cast<float>(0x7F7F0000U);
  const auto bits = std::bit_cast<uint32_t>(std::clamp(value, -kLargest, kLargest));
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

Packed<uint16_t> bf16_rows(const float* weights, uint32_t rows, uint32_t columns, uint32_t width) {
  Packed<uint16_t> packed(size_t{rows} * width);
  for (size_t i = 0; i < rows; ++i) {
    for (uint32_t j = 0; j < columns; ++j) {
      packed[i * width + bf16_place(j)] = bf16_of(weights[i * columns + j]);
    }
  }
  return packed;
}

Packed<float> padded_floats(std::span<const float> values, uint32_t width) {
  Packed<float> padded(width);
  std::copy(values.begin(), values.end(), padded.begin());
  return padded;
}

}  // namespace auspex
