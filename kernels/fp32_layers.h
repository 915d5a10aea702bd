// SPDX-License-Identifier: Apache-2.0
// Sums of weight rows in FP32 and BF16, compiled once per instruction set. No std header: see
// kernels/fp32_functions.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/fp32_functions.h"
#include "kernels/lanes.h"

namespace auspex {
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

inline void add_rows(const float* const* rows, const float* factors, uint32_t count, uint32_t width,
                     float* y) {
  if (factors == nullptr) {
    add_rows_of<false>(rows, factors, count, width, y);
  } else {
    add_rows_of<true>(rows, factors, count, width, y);
  }
}

// y: [count], in place
inline void relu(float* y, uint32_t count) {
  uint32_t j = 0;  // [0, count)
  for (; j + kLanes <= count; j += kLanes) store(y + j, max_of(load(y + j), Lanes{}));
  for (; j < count; ++j) y[j] = y[j] > 0 ? y[j] : 0;
}

// kPairs registers of pairs from word `first` of each row; y: where their columns begin.
template <uint32_t kPairs>
inline void add_bf16_block(const uint16_t* const* rows, const float* factors, uint32_t count,
                           uint32_t first, float* y) {
  constexpr uint32_t kPerBlock = 16 / kLanes;  // registers of pairs to 32 columns
  const auto low = [y](uint32_t p) { return y + p / kPerBlock * 32 + p % kPerBlock * kLanes; };
  Lanes even[kPairs], odd[kPairs];
  for (uint32_t p = 0; p < kPairs; ++p) {
    even[p] = load(low(p));
    odd[p] = load(low(p) + 16);
  }
  for (uint32_t k = 0; k < count; ++k) {
    const auto* row = reinterpret_cast<const int32_t*>(rows[k] + first);
    for (uint32_t p = 0; p < kPairs; ++p) {
      const IntLanes pairs = *reinterpret_cast<const LooseIntLanes*>(row + p * kLanes);
      even[p] += factors[k] * reinterpret_cast<Lanes>(pairs << 16);
      odd[p] += factors[k] * reinterpret_cast<Lanes>(pairs & -65536);
    }
  }
  for (uint32_t p = 0; p < kPairs; ++p) {
    store(low(p), even[p]);
    store(low(p) + 16, odd[p]);
  }
}

// rows: [count] pointers to [width] BF16; factors: [count]; y: [width], accumulated in place.
inline void add_bf16_rows(const uint16_t* const* rows, const float* factors, uint32_t count,
                          uint32_t width, float* y) {
  constexpr uint32_t kPairs = 16 / kLanes;  // 32 columns
  uint32_t j = 0;                           // [0, width)
  for (; j + 128 <= width; j += 128) add_bf16_block<4 * kPairs>(rows, factors, count, j, y + j);
  for (; j < width; j += 32) add_bf16_block<kPairs>(rows, factors, count, j, y + j);
}

// Accumulators of a tile: as many as the registers hold beside the weights.
#if defined(__AVX512F__)
constexpr uint32_t kTileSamples = 6;
#else
constexpr uint32_t kTileSamples = 3;
#endif
constexpr uint32_t kTileRegisters = 4;

// kSamples from s on, kRegisters of columns from j on.
template <uint32_t kSamples, uint32_t kRegisters>
inline void multiply_tile(const Product<float>& p, uint32_t s, uint32_t j) {
  Lanes sum[kSamples][kRegisters] = {};
  const float* x = p.x + size_t{s} * p.x_stride;
  const float* row = p.weights + j;
  for (uint32_t i = 0; i < p.inputs; ++i, row += p.stride) {
    Lanes weights[kRegisters];
#pragma GCC unroll 8
    for (uint32_t r = 0; r < kRegisters; ++r) weights[r] = load(row + r * kLanes);
#pragma GCC unroll 8
    for (uint32_t k = 0; k < kSamples; ++k) {
      const float factor = x[size_t{k} * p.x_stride + i];
#pragma GCC unroll 8
      for (uint32_t r = 0; r < kRegisters; ++r) sum[k][r] += factor * weights[r];
    }
  }
#pragma GCC unroll 8
  for (uint32_t k = 0; k < kSamples; ++k) {
    float* y = p.y + size_t{s + k} * p.y_stride + j;
#pragma GCC unroll 8
    for (uint32_t r = 0; r < kRegisters; ++r) {
      store(y + r * kLanes, load(y + r * kLanes) + sum[k][r]);
    }
  }
}

// All columns of kSamples from s on.
template <uint32_t kSamples>
inline void multiply_samples(const Product<float>& p, uint32_t s) {
  constexpr uint32_t kColumns = kTileRegisters * kLanes;
  uint32_t j = 0;  // [0, columns)
  for (; j + kColumns <= p.columns; j += kColumns) multiply_tile<kSamples, kTileRegisters>(p, s, j);
  for (; j + kLanes <= p.columns; j += kLanes) multiply_tile<kSamples, 1>(p, s, j);
  for (; j < p.columns; ++j) {
    for (uint32_t k = s; k < s + kSamples; ++k) {
      float sum = 0;
      for (uint32_t i = 0; i < p.inputs; ++i) {
        sum += p.x[size_t{k} * p.x_stride + i] * p.weights[size_t{i} * p.stride + j];
      }
      p.y[size_t{k} * p.y_stride + j] += sum;
    }
  }
}

inline void multiply(const Product<float>& p) {
  uint32_t s = 0;  // [0, samples)
  for (; s + kTileSamples <= p.samples; s += kTileSamples) multiply_samples<kTileSamples>(p, s);
  for (; s < p.samples; ++s) multiply_samples<1>(p, s);
}

// kSamples from s on, kPairs registers of pairs from word j on.
template <uint32_t kSamples, uint32_t kPairs>
inline void multiply_bf16_tile(const Product<uint16_t>& p, uint32_t s, uint32_t j) {
  constexpr uint32_t kPerBlock = 16 / kLanes;  // registers of pairs to 32 columns
  Lanes even[kSamples][kPairs] = {}, odd[kSamples][kPairs] = {};
  const float* x = p.x + size_t{s} * p.x_stride;
  const uint16_t* row = p.weights + j;
  for (uint32_t i = 0; i < p.inputs; ++i, row += p.stride) {
#pragma GCC unroll 8
    for (uint32_t r = 0; r < kPairs; ++r) {
      const IntLanes pairs = *reinterpret_cast<const LooseIntLanes*>(row + r * kLanes * 2);
      const auto low = reinterpret_cast<Lanes>(pairs << 16);
      const auto high = reinterpret_cast<Lanes>(pairs & -65536);
#pragma GCC unroll 8
      for (uint32_t k = 0; k < kSamples; ++k) {
        const float factor = x[size_t{k} * p.x_stride + i];
        even[k][r] += factor * low;
        odd[k][r] += factor * high;
      }
    }
  }
#pragma GCC unroll 8
  for (uint32_t k = 0; k < kSamples; ++k) {
#pragma GCC unroll 8
    for (uint32_t r = 0; r < kPairs; ++r) {
      float* y = p.y + size_t{s + k} * p.y_stride + j + r / kPerBlock * 32 + r % kPerBlock * kLanes;
      store(y, load(y) + even[k][r]);
      store(y + 16, load(y + 16) + odd[k][r]);
    }
  }
}

template <uint32_t kSamples>
inline void multiply_bf16_samples(const Product<uint16_t>& p, uint32_t s) {
  constexpr uint32_t kPairs = kTileRegisters / 2;
  constexpr uint32_t kBlock = kPairs * kLanes * 2;
  uint32_t j = 0;  // [0, columns)
  if constexpr (kBlock >= 32) {
    for (; j + kBlock <= p.columns; j += kBlock) multiply_bf16_tile<kSamples, kPairs>(p, s, j);
  }
  for (; j < p.columns; j += 32) multiply_bf16_tile<kSamples, 16 / kLanes>(p, s, j);
}

inline void multiply_bf16(const Product<uint16_t>& p) {
  uint32_t s = 0;  // [0, samples)
  for (; s + kTileSamples <= p.samples; s += kTileSamples) {
    multiply_bf16_samples<kTileSamples>(p, s);
  }
  for (; s < p.samples; ++s) multiply_bf16_samples<1>(p, s);
}

}  // namespace
}  // namespace auspex
