// SPDX-License-Identifier: Apache-2.0
// Registers of floats and of 32-bit integers, as wide as the instruction set has them. Included by
// the bodies that are compiled once per instruction set. No std header: see
// kernels/fp32_functions.h.
#pragma once

#include <stdint.h>
#if defined(__AVX__)
#include <immintrin.h>
#endif

namespace auspex {
namespace {

#if defined(__AVX512F__)
constexpr uint32_t kLanes = 16;
#elif defined(__AVX__)
constexpr uint32_t kLanes = 8;
#else
constexpr uint32_t kLanes = 4;
#endif
typedef float Lanes __attribute__((vector_size(4 * kLanes)));
typedef int32_t IntLanes __attribute__((vector_size(4 * kLanes)));
typedef int32_t LooseIntLanes __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef float LooseLanes __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

inline Lanes load(const float* from) {
  return *reinterpret_cast<const LooseLanes*>(from);
}
inline void store(float* to, Lanes value) {
  *reinterpret_cast<LooseLanes*>(to) = value;
}
inline Lanes all(float value) {
  return value - Lanes{};
}
// GCC makes a comparison and a blend of `a < b ? a : b`.
inline Lanes min_of(Lanes a, Lanes b) {
#if defined(__AVX512F__)
  return _mm512_min_ps(a, b);
#elif defined(__AVX__)
  return _mm256_min_ps(a, b);
#else
  return a < b ? a : b;
#endif
}
inline Lanes max_of(Lanes a, Lanes b) {
#if defined(__AVX512F__)
  return _mm512_max_ps(a, b);
#elif defined(__AVX__)
  return _mm256_max_ps(a, b);
#else
  return a > b ? a : b;
#endif
}
constexpr int32_t kSignBit = INT32_MIN;
inline Lanes minus_abs(Lanes x) {
  return reinterpret_cast<Lanes>(reinterpret_cast<IntLanes>(x) | kSignBit);
}
// x with the sign of `from`, if it is not negative.
inline Lanes signed_as(Lanes x, Lanes from) {
  return reinterpret_cast<Lanes>(reinterpret_cast<IntLanes>(x) ^
                                 (reinterpret_cast<IntLanes>(from) & kSignBit));
}

// x: in [0, 2^22) -> the nearest whole number, ties to even
inline IntLanes whole(Lanes x) {
  const Lanes shifted = x + 12582912.0F;  // 1.5 * 2^23
  return reinterpret_cast<IntLanes>(shifted) & 0x3FFFFF;
}

}  // namespace
}  // namespace auspex
