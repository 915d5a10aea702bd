// SPDX-License-Identifier: Apache-2.0
// What the kernels with VNNI share. No std header: see kernels/fp32_functions.h.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/int8_functions.h"

namespace auspex {

void vnni_int4_sparse(const Int8Layer& layer, const uint8_t* q, float scale, void* work, float* y);
void vnni_int4_dense(const Int8Layer& layer, const uint8_t* q, const float* scale, uint32_t samples,
                     float* y);
void vnni_pairs_dense(const Int8Layer& layer, const uint8_t* q, const float* scale,
                      uint32_t samples, float* y);

namespace {

// GCC 12 moves the intrinsic's accumulators to the stack and back.
inline void add_products(__m512i& sum, __m512i bytes, __m512i weights) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(bytes), "v"(weights));
}

inline __m512i four_bytes(const void* from) {
  int32_t four;
  __builtin_memcpy(&four, from, sizeof(four));
  return _mm512_set1_epi32(four);
}

// A count as a type; std's stays out of these files.
template <uint32_t kCount>
struct Blocks {
  constexpr operator uint32_t() const { return kCount; }
};

// GCC 12 keeps sums in registers if they are cleared by a loop that is unrolled.
template <int kCount>
inline void clear(__m512i (&sums)[kCount]) {
#pragma GCC unroll 32
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
}

// 64 bytes of four rows each, byte by byte in turn: columns[r] holds the 16 of which the first is
// in place row_place(16 * r).
struct Interleaved {
  __m512i columns[4];
  Interleaved(const int8_t* const* row, int from) {
    const __m512i r0 = _mm512_loadu_si512(row[0] + from), r1 = _mm512_loadu_si512(row[1] + from);
    const __m512i r2 = _mm512_loadu_si512(row[2] + from), r3 = _mm512_loadu_si512(row[3] + from);
    const __m512i low01 = _mm512_unpacklo_epi8(r0, r1), high01 = _mm512_unpackhi_epi8(r0, r1);
    const __m512i low23 = _mm512_unpacklo_epi8(r2, r3), high23 = _mm512_unpackhi_epi8(r2, r3);
    columns[0] = _mm512_unpacklo_epi16(low01, low23);
    columns[1] = _mm512_unpackhi_epi16(low01, low23);
    columns[2] = _mm512_unpacklo_epi16(high01, high23);
    columns[3] = _mm512_unpackhi_epi16(high01, high23);
  }
};

// sum: of 16 columns from j on -> y [16]
inline void finish(const Int8Layer& layer, uint32_t j, __m512i sum, float scale, float* y) {
  const __m512 factor = _mm512_mul_ps(_mm512_set1_ps(scale), _mm512_loadu_ps(layer.scales + j));
  __m512 value = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), factor, _mm512_loadu_ps(layer.bias + j));
  if (layer.relu) value = _mm512_max_ps(value, _mm512_setzero_ps());
  _mm512_storeu_ps(y + j, value);
}

// x: [inputs], inputs a multiple of 64 -> q [inputs]
inline float quantize(const float* x, uint32_t inputs, uint32_t steps, uint8_t* q) {
  __m512 most = _mm512_setzero_ps();
  for (uint32_t i = 0; i < inputs; i += 16) most = _mm512_max_ps(most, _mm512_loadu_ps(x + i));
  const float largest = _mm512_reduce_max_ps(most);
  const auto most_steps = static_cast<float>(steps);
  const float inverse = largest > kLeastScaled ? most_steps / largest : 0;
  for (uint32_t i = 0; i < inputs; i += 16) {
    const __m512 scaled = _mm512_mul_ps(_mm512_loadu_ps(x + i), _mm512_set1_ps(inverse));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(q + i),
                     _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(scaled)));
  }
  return largest / most_steps;
}

// q: [inputs] -> place [count], value [count] of those that are not zero, sixteen zeroes behind
// them; returns the count.
inline uint32_t find_active(const uint8_t* q, uint32_t inputs, uint32_t* place, uint8_t* value) {
  const __m512i iota = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  uint32_t count = 0;
  for (uint32_t i = 0; i < inputs; i += 16) {
    const __m512i wide =
        _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(q + i)));
    const __mmask16 active = _mm512_test_epi32_mask(wide, wide);
    const __m512i places = _mm512_add_epi32(iota, _mm512_set1_epi32(static_cast<int>(i)));
    _mm512_storeu_si512(place + count, _mm512_maskz_compress_epi32(active, places));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(value + count),
                     _mm512_cvtepi32_epi8(_mm512_maskz_compress_epi32(active, wide)));
    count += static_cast<uint32_t>(__builtin_popcount(active));
  }
  _mm512_storeu_si512(place + count, _mm512_setzero_si512());
  _mm_storeu_si128(reinterpret_cast<__m128i*>(value + count), _mm_setzero_si128());
  return count;
}

}  // namespace
}  // namespace auspex
