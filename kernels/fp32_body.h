// SPDX-License-Identifier: Apache-2.0
// What the pointer network does in FP32, and the list of all functions. Compiled once per
// instruction set: included by exactly the fp32_*.cc files.
// No std header: see kernels/fp32_functions.h.
#pragma once

#include <stdint.h>

#include "kernels/fp32_functions.h"
#include "kernels/fp32_layers.h"
#include "kernels/lanes.h"

namespace auspex {
namespace {

inline float sum_of(Lanes x) {
  float lanes[kLanes];
  store(lanes, x);
  for (uint32_t half = kLanes / 2; half > 1; half /= 2) {
    for (uint32_t j = 0; j < half; ++j) lanes[j] += lanes[half + j];
  }
  return lanes[0] + lanes[1];
}

// x = n + r with n whole: adding kMagic rounds to n, and leaves n + 127 in the low bits, which
// shifted are 2^n. For x in [-126, 127].
constexpr float kMagic = 12582912.0F + 127.0F;  // 1.5 * 2^23
inline Lanes two_to(Lanes shifted) {
  return reinterpret_cast<Lanes>(reinterpret_cast<IntLanes>(shifted) << 23);
}

// 2^r for r in [-1/2, 1/2], relative error below 3e-7. Source: minimax by reweighted least squares.
inline Lanes power(Lanes r) {
  Lanes p = r * 0.00132764725F + 0.00967554189F;
  p = p * r + 0.0555071309F;
  p = p * r + 0.240221202F;
  p = p * r + 0.693146944F;
  return p * r + 1.00000012F;
}

// Below it 2^x is nothing.
constexpr float kLeastPower = -126;

// x: [count] in [-87, 88], count a multiple of kPadding -> exp(x), in place; relative error below
// 5e-7 with fused multiplication, 5e-6 without
inline void exp_all(float* x, uint32_t count) {
  for (uint32_t k = 0; k < count; k += kLanes) {
    const Lanes at = load(x + k);
    const Lanes shifted = at * kLog2E + kMagic;
    const Lanes r = (at - (shifted - kMagic) * 0.693147181F) * kLog2E;
    store(x + k, power(r) * two_to(shifted));
  }
}

// d <= 0 in powers of two -> 2^d
inline Lanes decay(Lanes d) {
  const Lanes x = max_of(d, all(kLeastPower));
  const Lanes shifted = x + kMagic;
  return power(x - (shifted - kMagic)) * two_to(shifted);
}

// x: [points], points a multiple of kPadding; v, sharpness, weight: [count] -> cdf [points]:
// cdf[k] = sum_i weight[i] * (1 + sign(d) (1 - exp(-|d|))) / 2, d = (x[k] - v[i]) / scale[i]
inline void laplace_cdf(const float* x, uint32_t points, const float* v, const float* sharpness,
                        const float* weight, uint32_t count, float* cdf) {
  float weights = 0;
  for (uint32_t i = 0; i < count; ++i) weights += weight[i];
  for (uint32_t k = 0; k < points; k += kLanes) {
    const Lanes at = load(x + k);
    Lanes sum = all(weights);
    for (uint32_t i = 0; i < count; ++i) {
      const Lanes d = (at - v[i]) * sharpness[i];
      sum += weight[i] * signed_as(1 - decay(minus_abs(d)), d);
    }
    store(cdf + k, sum * 0.5F);
  }
}

// s, inverse_s: [points], points a multiple of kPadding; v, inverse_v, weight: [count] -> sum
// [points]: sum[k] = sum_i weight[i] * min/max(s[k], v[i])
inline void sum_ratios(const float* s, const float* inverse_s, uint32_t points, const float* v,
                       const float* inverse_v, const float* weight, uint32_t count, float* sum) {
  for (uint32_t k = 0; k < points; k += kLanes) {
    const Lanes mine = load(s + k), inverse = load(inverse_s + k);
    Lanes total = {};
    for (uint32_t i = 0; i < count; ++i) {
      const Lanes up = mine * inverse_v[i], down = v[i] * inverse;
      total += weight[i] * min_of(up, down);
    }
    store(sum + k, total);
  }
}

// x: [points], points a multiple of kPadding; v, sharpness, weight: [count] -> sum [points]:
// sum[k] = sum_i weight[i] * exp(-|x[k] - v[i]| / scale[i])
inline void sum_decays(const float* x, uint32_t points, const float* v, const float* sharpness,
                       const float* weight, uint32_t count, float* sum) {
  for (uint32_t k = 0; k < points; k += kLanes) {
    const Lanes at = load(x + k);
    Lanes total = {};
    for (uint32_t i = 0; i < count; ++i) {
      total += weight[i] * decay(minus_abs((at - v[i]) * sharpness[i]));
    }
    store(sum + k, total);
  }
}

// Adds to out [kItemTile][2] what hidden units [0, kBlocks * kLanes) of `first` on give.
template <uint32_t kBlocks>
inline void item_block(const ItemLayer& layer, const float* const* input, const float* const* slot,
                       uint32_t first, float (*out)[2]) {
  Lanes hidden[kItemTile][kBlocks];
  for (uint32_t b = 0; b < kBlocks; ++b) {
    const uint32_t j = first + b * kLanes;  // [0, width)
    const Lanes shared = load(layer.shared + j);
    for (uint32_t t = 0; t < kItemTile; ++t) hidden[t][b] = shared + load(slot[t] + j);
  }
  const float* row = layer.weights + first;
  for (uint32_t i = 0; i < layer.inputs; ++i, row += layer.width) {
    for (uint32_t b = 0; b < kBlocks; ++b) {
      const Lanes weight = load(row + b * kLanes);
      for (uint32_t t = 0; t < kItemTile; ++t) hidden[t][b] += input[t][i] * weight;
    }
  }
  for (uint32_t t = 0; t < kItemTile; ++t) {
    for (uint32_t head = 0; head < 2; ++head) {
      const float* weights = layer.heads + head * layer.width + first;
      Lanes sum = {};
      for (uint32_t b = 0; b < kBlocks; ++b) {
        const Lanes active = hidden[t][b] > 0 ? hidden[t][b] : Lanes{};
        sum += active * load(weights + b * kLanes);
      }
      out[t][head] += sum_of(sum);
    }
  }
}

// input, slot: [kItemTile] pointers to [inputs], [width] -> out [kItemTile][2]:
// out[t][h] = sum_j heads[h][j] * relu(shared[j] + slot[t][j] + sum_i input[t][i] * weights[i][j])
inline void item_tile(const ItemLayer& layer, const float* const* input, const float* const* slot,
                      float (*out)[2]) {
  for (uint32_t t = 0; t < kItemTile; ++t) out[t][0] = out[t][1] = 0;
  uint32_t j = 0;  // [0, width)
  for (; j + 2 * kLanes <= layer.width; j += 2 * kLanes) item_block<2>(layer, input, slot, j, out);
  for (; j + kLanes <= layer.width; j += kLanes) item_block<1>(layer, input, slot, j, out);
  for (; j < layer.width; ++j) {
    for (uint32_t t = 0; t < kItemTile; ++t) {
      float hidden = layer.shared[j] + slot[t][j];
      for (uint32_t i = 0; i < layer.inputs; ++i) {
        hidden += input[t][i] * layer.weights[i * layer.width + j];
      }
      const float active = hidden > 0 ? hidden : 0;
      out[t][0] += active * layer.heads[j];
      out[t][1] += active * layer.heads[layer.width + j];
    }
  }
}

// input, slot: [count], count a multiple of kItemTile -> out [count][2]
inline void item_heads(const ItemLayer& layer, const float* const* input, const float* const* slot,
                       uint32_t count, float (*out)[2]) {
  for (uint32_t k = 0; k < count; k += kItemTile) item_tile(layer, input + k, slot + k, out + k);
}

const Fp32Functions kFunctions = {add_rows,   relu,    add_bf16_rows, multiply,   multiply_bf16,
                                  item_heads, exp_all, laplace_cdf,   sum_ratios, sum_decays};

}  // namespace
}  // namespace auspex
