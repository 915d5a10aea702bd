// SPDX-License-Identifier: Apache-2.0
// The INT8 kernel for instruction sets without products of bytes, compiled once per set. Included
// by int8_portable.cc, int8_avx2.cc and int8_avx512.cc. No std header: see
// kernels/fp32_functions.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "kernels/int8_functions.h"
#include "kernels/lanes.h"

namespace auspex {
namespace {

typedef int8_t LooseBytes __attribute__((vector_size(kLanes), aligned(1), may_alias));
typedef uint8_t UnsignedBytes __attribute__((vector_size(kLanes)));
typedef uint8_t LooseUnsigned __attribute__((vector_size(kLanes), aligned(1), may_alias));
constexpr uint32_t kRegisters = 64 / kLanes;  // of sums: 64 columns

// GCC 12 takes a conversion of bytes apart where the instruction set has one.
inline IntLanes widened(const int8_t* from) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return reinterpret_cast<IntLanes>(_mm512_cvtepi8_epi32(bytes));
#elif defined(__AVX2__)
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
  return reinterpret_cast<IntLanes>(_mm256_cvtepi8_epi32(bytes));
#else
  return __builtin_convertvector(*reinterpret_cast<const LooseBytes*>(from), IntLanes);
#endif
}

// x: [inputs], inputs a multiple of 64 -> q [inputs]
inline float quantize(const float* x, uint32_t inputs, uint32_t steps, uint8_t* q) {
  Lanes most = {};
  for (uint32_t i = 0; i < inputs; i += kLanes) most = max_of(most, load(x + i));
  float lanes[kLanes], largest = 0;
  store(lanes, most);
  for (const float lane : lanes) largest = lane > largest ? lane : largest;
  const auto most_steps = static_cast<float>(steps);
  const float inverse = largest > kLeastScaled ? most_steps / largest : 0;
  for (uint32_t i = 0; i < inputs; i += kLanes) {
    *reinterpret_cast<LooseUnsigned*>(q + i) =
        __builtin_convertvector(whole(load(x + i) * inverse), UnsignedBytes);
  }
  return largest / most_steps;
}

// The rows in place [count], or the first `count` of all; q: [inputs] -> y [width]
template <bool kListed>
inline void add_weights(const Int8Layer& layer, const uint32_t* place, uint32_t count,
                        const uint8_t* q, float scale, float* y) {
  for (uint32_t j = 0; j < layer.width; j += 64) {  // [0, width)
    IntLanes sum[kRegisters] = {};
    for (uint32_t n = 0; n < count; ++n) {
      const uint32_t i = kListed ? place[n] : n;
      const int8_t* row = layer.rows + size_t{i} * layer.width + j;
      const int32_t factor = q[i];
      for (uint32_t k = 0; k < kRegisters; ++k) sum[k] += factor * widened(row + k * kLanes);
    }
    int32_t placed[64];
    for (uint32_t k = 0; k < kRegisters; ++k) {
      *reinterpret_cast<LooseIntLanes*>(placed + k * kLanes) = sum[k];
    }
    for (uint32_t c = j; c < j + 64; ++c) {
      const float value =
          static_cast<float>(placed[row_place(c - j)]) * (scale * layer.scales[c]) + layer.bias[c];
      y[c] = layer.relu && !(value > 0) ? 0 : value;
    }
  }
}

// q: [inputs] -> y [width]
inline void sparse(const Int8Layer& layer, const uint8_t* q, float scale, void* work, float* y) {
  auto* place = static_cast<uint32_t*>(work);
  uint32_t count = 0;
  for (uint32_t i = 0; i < layer.inputs; ++i) {  // without a branch: half are zero, at random
    place[count] = i;
    count += q[i] != 0;
  }
  add_weights<true>(layer, place, count, q, scale, y);
}

// q: [samples][inputs] -> y [samples][width]
inline void dense(const Int8Layer& layer, const uint8_t* q, const float* scale, uint32_t samples,
                  float* y) {
  for (size_t s = 0; s < samples; ++s) {
    add_weights<false>(layer, nullptr, layer.inputs, q + s * layer.inputs, scale[s],
                       y + s * layer.width);
  }
}

// rows: [count] pointers to [width] -> y [width]
inline void gather(const int8_t* const* rows, uint32_t count, const float* scales,
                   const float* bias, uint32_t width, float* y) {
  for (uint32_t j = 0; j < width; j += 64) {  // [0, width)
    IntLanes sum[kRegisters] = {};
    for (uint32_t n = 0; n < count; ++n) {
      for (uint32_t k = 0; k < kRegisters; ++k) sum[k] += widened(rows[n] + j + k * kLanes);
    }
    for (uint32_t k = 0; k < kRegisters; ++k) {
      const uint32_t at = j + k * kLanes;
      store(y + at, __builtin_convertvector(sum[k], Lanes) * load(scales + at) + load(bias + at));
    }
  }
}

const Int8Functions kFunctions = {quantize, sparse,  dense,   false,
                                  gather,   nullptr, nullptr, nullptr};

}  // namespace
}  // namespace auspex
