// SPDX-License-Identifier: Apache-2.0
// One instruction set's functions. Raw pointers and no std header: a file compiled for a newer CPU
// must not emit std templates. Their formulas and shapes: fp32_body.h.
#pragma once

#include <stdint.h>

namespace auspex {

// `points`, and `count` of exponentials, is a multiple of this.
inline constexpr uint32_t kPadding = 16;

inline constexpr uint32_t kBf16Width = 32;
// Where in its row column `column` lies: pairs, of which the halves of registers are made.
static constexpr uint32_t bf16_place(uint32_t column) {
  const uint32_t inside = column % 32;
  return column - inside + inside % 16 * 2 + inside / 16;
}

// `count` of items is a multiple of this.
inline constexpr uint32_t kItemTile = 4;

// The hidden layer that all items share, and its two heads.
struct ItemLayer {
  uint32_t inputs, width;
  const float* weights;  // Shape: [inputs][width]
  const float* shared;   // Shape: [width]
  const float* heads;    // Shape: [2][width]
};

// Sharpness of a kernel: this, over its scale. Powers of two cost less than those of e.
inline constexpr float kLog2E = 1.44269504F;

// A layer for several samples at once, all its rows.
template <class Weight>
struct Product {
  const Weight* weights;  // Shape: [inputs][stride]; BF16 as add_bf16_rows has them
  uint32_t inputs, columns, stride;
  const float* x;  // Shape: [samples][x_stride]
  float* y;        // Shape: [samples][y_stride], added to
  uint32_t samples, x_stride, y_stride;
};

struct Fp32Functions {
  // y += sum_k factors[k] * rows[k][0..width). factors may be null: all ones.
  void (*add_rows)(const float* const* rows, const float* factors, uint32_t count, uint32_t width,
                   float* y);
  // y = max(y, 0)
  void (*relu)(float* y, uint32_t count);
  // As add_rows, with BF16 rows, width a multiple of kBf16Width, columns in the order of
  // bf16_place().
  void (*add_bf16_rows)(const uint16_t* const* rows, const float* factors, uint32_t count,
                        uint32_t width, float* y);
  // y += x W
  void (*multiply)(const Product<float>& product);
  // columns: a multiple of kBf16Width
  void (*multiply_bf16)(const Product<uint16_t>& product);
  void (*item_heads)(const ItemLayer& layer, const float* const* input, const float* const* slot,
                     uint32_t count, float (*out)[2]);
  void (*exp_all)(float* x, uint32_t count);
  void (*laplace_cdf)(const float* x, uint32_t points, const float* v, const float* sharpness,
                      const float* weight, uint32_t count, float* cdf);
  void (*sum_ratios)(const float* s, const float* inverse_s, uint32_t points, const float* v,
                     const float* inverse_v, const float* weight, uint32_t count, float* sum);
  void (*sum_decays)(const float* x, uint32_t points, const float* v, const float* sharpness,
                     const float* weight, uint32_t count, float* sum);
};

extern const Fp32Functions kFp32Portable, kFp32Avx2, kFp32Avx512;

}  // namespace auspex
