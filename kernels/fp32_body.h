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
inline void add_rows_body(const float* const* rows, const float* factors, uint32_t count,
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

}  // namespace
