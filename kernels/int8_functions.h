// SPDX-License-Identifier: Apache-2.0
// One instruction set's functions of a layer with INT8 weights. Raw pointers and no std header: see
// kernels/fp32_functions.h.
//
// A layer's input is what ReLU left: quantized, sample by sample, to unsigned bytes of one scale.
// The sums are whole numbers, so every way to add them up gives the same ones.
#pragma once

#include <stdint.h>

namespace auspex {

// Widths are padded to this with zeros.
inline constexpr uint32_t kInt8Width = 64;
// Rows are taken so many at a time.
inline constexpr uint32_t kInt8Rows = 4;

// A sample whose largest value is not above it counts as zeroes.
inline constexpr float kLeastScaled = 1e-30F;

// The sums of more rows might not fit 16 bits.
inline constexpr uint32_t kMostGathered = 256;

struct Int8Layer {
  uint32_t inputs = 0;  // padded to kInt8Width
  uint32_t width = 0;   // of the outputs, padded
  bool relu = false;
  const int8_t* rows = nullptr;   // Shape: [inputs][width], columns in the order of row_place()
  const int8_t* tiles = nullptr;  // Shape: [width / 64][inputs / 4][64][4]; of VNNI
  const float* scales = nullptr;  // Shape: [width]
  const float* bias = nullptr;    // Shape: [width]
};

// Where in its row column `column` lies: four rows interleaved byte by byte then hold whole
// columns, in their order, in registers of 64 bytes.
static constexpr uint32_t row_place(uint32_t column) {
  const uint32_t inside = column % 64;
  return column - inside + inside % 16 / 4 * 16 + inside / 16 * 4 + inside % 4;
}

struct Int8Functions {
  // x: [inputs] >= 0 -> q [inputs]; x is about q times the result.
  float (*quantize)(const float* x, uint32_t inputs, uint8_t* q);

  // y [width] = relu(scale * scales * sum_i q[i] * weights[i] + bias): the rows of zeroes skipped,
  // and all of them. work: [inputs + 16] * 8 bytes.
  void (*sparse)(const Int8Layer& layer, const uint8_t* q, float scale, void* work, float* y);
  // q: [samples][inputs]; scale: [samples] -> y [samples][width]
  void (*dense)(const Int8Layer& layer, const uint8_t* q, const float* scale, uint32_t samples,
                float* y);

  // y [width] = bias + scales * sum_k rows[k][0..width), columns as they come; count at most
  // kMostGathered.
  void (*gather)(const int8_t* const* rows, uint32_t count, const float* scales, const float* bias,
                 uint32_t width, float* y);
};

extern const Int8Functions kInt8Portable, kInt8Avx2, kInt8Avx512, kInt8Vnni;

}  // namespace auspex
