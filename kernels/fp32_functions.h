// SPDX-License-Identifier: Apache-2.0
// One instruction set's functions. Raw pointers and no std header: a file compiled for a newer CPU
// must not emit std templates. Their formulas and shapes: fp32_body.h.
#pragma once

#include <stdint.h>

namespace auspex {

// `points` is a multiple of this.
inline constexpr uint32_t kPadding = 16;

struct Fp32Functions {
  // y += sum_k factors[k] * rows[k][0..width). factors may be null: all ones.
  void (*add_rows)(const float* const* rows, const float* factors, uint32_t count, uint32_t width,
                   float* y);
  // out [2] = heads [2][width] * relu(shared [width] + slot [width] + input [inputs] * weights).
  void (*item_heads)(const float* input, uint32_t inputs, const float* weights, const float* shared,
                     const float* slot, const float* heads, uint32_t width, float* out);
  void (*laplace_cdf)(const float* x, uint32_t points, const float* v, const float* inverse_scale,
                      const float* weight, uint32_t count, float* cdf);
  void (*sum_ratios)(const float* s, const float* inverse_s, uint32_t points, const float* v,
                     const float* inverse_v, const float* weight, uint32_t count, float* sum);
  void (*sum_decays)(const float* x, uint32_t points, const float* v, const float* inverse_scale,
                     const float* weight, uint32_t count, float* sum);
};

extern const Fp32Functions kFp32Portable, kFp32Avx2, kFp32Avx512;

}  // namespace auspex
