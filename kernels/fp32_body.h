// SPDX-License-Identifier: Apache-2.0
// The FP32 kernel, compiled once per instruction set. Included by exactly the fp32_*.cc files.
// No std header: see kernels/backends.h.
#pragma once

#include <stdint.h>

namespace {

// rows: [count][width]; factors: [count]; y: [width], accumulated in place.
// Eight rows per pass: y is loaded and stored once for eight rows instead of once for each, which
// halves the traffic of this memory-bound sum. The compiler vectorises over j.
template <bool kScaled>
inline void add_rows_of(const float* const* rows, const float* factors, uint32_t count,
                        uint32_t width, float* __restrict y) {
  uint32_t k = 0;  // [0, count)
  for (; k + 8 <= count; k += 8) {
    const float* __restrict r0 = rows[k];
    const float* __restrict r1 = rows[k + 1];
    const float* __restrict r2 = rows[k + 2];
    const float* __restrict r3 = rows[k + 3];
    const float* __restrict r4 = rows[k + 4];
    const float* __restrict r5 = rows[k + 5];
    const float* __restrict r6 = rows[k + 6];
    const float* __restrict r7 = rows[k + 7];
    float f[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    if (kScaled) {
      for (uint32_t i = 0; i < 8; ++i) f[i] = factors[k + i];
    }
    for (uint32_t j = 0; j < width; ++j) {  // [0, width)
      y[j] += (f[0] * r0[j] + f[1] * r1[j]) + (f[2] * r2[j] + f[3] * r3[j]) +
              ((f[4] * r4[j] + f[5] * r5[j]) + (f[6] * r6[j] + f[7] * r7[j]));
    }
  }
  for (; k < count; ++k) {
    const float* __restrict row = rows[k];
    const float factor = kScaled ? factors[k] : 1;
    for (uint32_t j = 0; j < width; ++j) y[j] += factor * row[j];
  }
}

// exp(-a) for a in [0, 80], relative error below 2e-7; the compiler vectorises a loop over it.
// Range reduction to [-ln2/2, ln2/2], then Taylor to degree 6.
inline float exp_minus(float a) {
  const float scaled = a < 80.0F ? -1.44269504F * a : -1.44269504F * 80.0F;
  const int32_t whole = static_cast<int32_t>(scaled - 0.5F);  // scaled <= 0: rounds to nearest
  const float r = (scaled - static_cast<float>(whole)) * 0.693147181F;
  const float series =
      1 +
      r * (1 + r * (0.5F + r * (0.166666667F +
                                r * (0.0416666667F + r * (0.00833333333F + r * 0.00138888889F)))));
  return series * __builtin_bit_cast(float, (whole + 127) << 23);
}

// Lanes that sum side by side, whatever the instruction set: equal results for equal inputs.
constexpr uint32_t kLanes = 16;

// x: [points], points a multiple of kLanes; v, inverse_scale, weight: [count] -> cdf [points]
inline void laplace_cdf(const float* x, uint32_t points, const float* v, const float* inverse_scale,
                        const float* weight, uint32_t count, float* cdf) {
  for (uint32_t k = 0; k < points; k += kLanes) {
    float sums[kLanes] = {};
    for (uint32_t i = 0; i < count; ++i) {
      for (uint32_t j = 0; j < kLanes; ++j) {
        const float d = (x[k + j] - v[i]) * inverse_scale[i];
        const float tail = 0.5F * exp_minus(__builtin_fabsf(d));
        sums[j] += weight[i] * (d > 0 ? 1 - tail : tail);
      }
    }
    for (uint32_t j = 0; j < kLanes; ++j) cdf[k + j] = sums[j];
  }
}

// s, inverse_s: [points], points a multiple of kLanes; v, inverse_v, weight: [count] -> sum
// [points]: sum[k] = sum_i weight[i] * min/max(s[k], v[i])
inline void sum_ratios(const float* s, const float* inverse_s, uint32_t points, const float* v,
                       const float* inverse_v, const float* weight, uint32_t count, float* sum) {
  for (uint32_t k = 0; k < points; k += kLanes) {
    float sums[kLanes] = {};
    for (uint32_t i = 0; i < count; ++i) {
      for (uint32_t j = 0; j < kLanes; ++j) {
        const float up = s[k + j] * inverse_v[i], down = v[i] * inverse_s[k + j];
        sums[j] += weight[i] * (up < down ? up : down);
      }
    }
    for (uint32_t j = 0; j < kLanes; ++j) sum[k + j] = sums[j];
  }
}

// x: [points], points a multiple of kLanes; v, inverse_scale, weight: [count] -> sum [points]:
// sum[k] = sum_i weight[i] * exp(-|x[k] - v[i]| / scale[i])
inline void sum_decays(const float* x, uint32_t points, const float* v, const float* inverse_scale,
                       const float* weight, uint32_t count, float* sum) {
  for (uint32_t k = 0; k < points; k += kLanes) {
    float sums[kLanes] = {};
    for (uint32_t i = 0; i < count; ++i) {
      for (uint32_t j = 0; j < kLanes; ++j) {
        sums[j] += weight[i] * exp_minus(__builtin_fabsf(x[k + j] - v[i]) * inverse_scale[i]);
      }
    }
    for (uint32_t j = 0; j < kLanes; ++j) sum[k + j] = sums[j];
  }
}

// input: [inputs]; weights: [inputs][width]; shared, slot: [width]; heads: [2][width] -> out [2]:
// out[h] = sum_j heads[h][j] * relu(shared[j] + slot[j] + sum_i input[i] * weights[i][j])
inline void item_heads(const float* __restrict input, uint32_t inputs,
                       const float* __restrict weights, const float* __restrict shared,
                       const float* __restrict slot, const float* __restrict heads, uint32_t width,
                       float* __restrict out) {
  float first[kLanes] = {}, second[kLanes] = {};
  uint32_t begin = 0;
  for (; begin + kLanes <= width; begin += kLanes) {
    // Pointers, not indices: a sum of uint32_t that may wrap is not vectorised.
    const float* row = weights + begin;
    const float *start = shared + begin, *more = slot + begin;
    const float *head = heads + begin, *other_head = heads + width + begin;
    float hidden[kLanes];
    for (uint32_t j = 0; j < kLanes; ++j) hidden[j] = start[j] + more[j];
    for (uint32_t i = 0; i < inputs; ++i, row += width) {
      for (uint32_t j = 0; j < kLanes; ++j) hidden[j] += input[i] * row[j];
    }
    for (uint32_t j = 0; j < kLanes; ++j) {
      const float active = hidden[j] > 0 ? hidden[j] : 0;
      first[j] += active * head[j];
      second[j] += active * other_head[j];
    }
  }
  for (uint32_t half = kLanes / 2; half > 0; half /= 2) {
    for (uint32_t j = 0; j < half; ++j) {
      first[j] += first[half + j];
      second[j] += second[half + j];
    }
  }
  out[0] = first[0];
  out[1] = second[0];
  for (; begin < width; ++begin) {
    float hidden = shared[begin] + slot[begin];
    for (uint32_t i = 0; i < inputs; ++i) hidden += input[i] * weights[i * width + begin];
    const float active = hidden > 0 ? hidden : 0;
    out[0] += active * heads[begin];
    out[1] += active * heads[width + begin];
  }
}

inline void add_rows(const float* const* rows, const float* factors, uint32_t count, uint32_t width,
                     float* y) {
  if (factors == nullptr) {
    add_rows_of<false>(rows, factors, count, width, y);
  } else {
    add_rows_of<true>(rows, factors, count, width, y);
  }
}

}  // namespace
