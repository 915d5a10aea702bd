// SPDX-License-Identifier: Apache-2.0
// A layer's weights in fewer bits.
#pragma once

#include <span>
#include <vector>

#include "kernels/packed.h"
#include "shared/model_file.h"

namespace auspex {

// Whole numbers of a scale for each column.
struct RoundedWeights {
  uint32_t rows = 0, columns = 0;
  std::vector<int8_t> values;  // Shape: [rows][columns]
  std::vector<float> scales;   // Shape: [columns]
};

// The first `rows` of the layer in INT8, INT4 or 2:4.
// INT8: 127 is the column's largest. INT4: 7 is what leaves the column the least square error.
// 2:4: of four rows in sequence the two largest; among equals the first.
RoundedWeights rounded(const LayerView& layer, uint32_t rows, Precision precision);

// Round to nearest, ties to even; beyond the largest finite one, to that.
uint16_t bf16_of(float value);
// weights: [rows][columns] -> [rows][width], columns in the order of bf16_place(), zeros behind.
Packed<uint16_t> bf16_rows(const float* weights, uint32_t rows, uint32_t columns, uint32_t width);

// -> [width], zeros behind.
Packed<float> padded_floats(std::span<const float> values, uint32_t width);

}  // namespace auspex
