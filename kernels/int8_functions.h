// SPDX-License-Identifier: Apache-2.0
// One instruction set's functions of a layer with INT8 or INT4 weights. Raw pointers and no std
// header: see kernels/fp32_functions.h.
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
  uint32_t width = 0;   // of the outputs, padded to kInt8Width; of INT4 to kInt4Width
  bool relu = false;
  const int8_t* rows = nullptr;   // of functions that skip rows
  const int8_t* tiles = nullptr;  // of those that read all
  const float* scales = nullptr;  // Shape: [width]
  const float* bias = nullptr;    // Shape: [width]
};

// INT8: rows [inputs][width], columns in the order of row_place();
// tiles [width / 64][inputs / 4][64][4].
//
// INT4: weights in half bytes, with kInt4Zero added. Both halves of a byte are of one row, so one
// mask serves two products: the sum over whole bytes less that over the low halves is sixteen times
// that over the high ones. rows [inputs][width / 128][64]: columns in the order of row_place(), the
// high halves 64 columns on; tiles [width / 64][inputs / 4][2][16][4], the high halves 16 on.
inline constexpr uint32_t kInt4Width = 128;
inline constexpr int kInt4Zero = 8;
//
// 2:4: of four rows two weights of a column are there. tiles [width / 64][inputs / 16][4][3][64],
// for 16 columns: first where they are, then the weights of twice eight rows, in each four bytes of
// a column two from the first four rows and two from the next. A byte of the first says in which of
// the eight rows the weight in its place is, in its low half for the first eight, in its high half
// for the next.
inline constexpr uint32_t kPairBytes = 48;  // of 64 columns of a row

// Where in its row column `column` lies: four rows interleaved byte by byte then hold whole
// columns, in their order, in registers of 64 bytes.
static constexpr uint32_t row_place(uint32_t column) {
  const uint32_t inside = column % 64;
  return column - inside + inside % 16 / 4 * 16 + inside / 16 * 4 + inside % 4;
}

// y [width] = relu(scale * scales * sum_i q[i] * weights[i] + bias)
// A sample, the rows of zeroes skipped. work: [inputs + 16] * 8 bytes.
using SparseFunction = void (*)(const Int8Layer& layer, const uint8_t* q, float scale, void* work,
                                float* y);
// q: [samples][inputs]; scale: [samples] -> y [samples][width]
using DenseFunction = void (*)(const Int8Layer& layer, const uint8_t* q, const float* scale,
                               uint32_t samples, float* y);

// A layer's input is quantized to whole numbers up to this.
inline constexpr uint32_t kInt8Steps = 255;
inline constexpr uint32_t kInt4Steps = 127;

struct Int8Functions {
  // x: [inputs] >= 0 -> q [inputs] in [0, steps]; x is about q times the result.
  float (*quantize)(const float* x, uint32_t inputs, uint32_t steps, uint8_t* q);
  SparseFunction sparse;
  DenseFunction dense;
  bool reads_tiles;  // dense does, and not rows

  // y [width] = bias + scales * sum_k rows[k][0..width), columns as they come; count at most
  // kMostGathered.
  void (*gather)(const int8_t* const* rows, uint32_t count, const float* scales, const float* bias,
                 uint32_t width, float* y);

  // nullptr: there is nothing faster here than their weights as INT8.
  SparseFunction int4_sparse;
  DenseFunction int4_dense;
  DenseFunction pairs_dense;
};

extern const Int8Functions kInt8Portable, kInt8Avx2, kInt8Avx512, kInt8Vnni;

}  // namespace auspex
