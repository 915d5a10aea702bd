// SPDX-License-Identifier: Apache-2.0
// A graph network's operations: the mean over neighbours, and products of matrices.
#pragma once

#include "kernels/cuda/graph_view.h"
#include "kernels/cuda/vectors.h"

namespace auspex::cuda {

// A warp for each node, a lane for each column.
AUSPEX_DEVICE void mean_body(const MeanParams& p) {
  // Shapes: x [nodes][columns] -> y [nodes][columns]; block in [0, nodes / kWarps rounded up)
  const uint32_t node = block() * kWarps + warp();  // [0, nodes)
  if (node >= p.nodes) return;
  const uint32_t begin = fetch(p.begins + node), end = fetch(p.begins + node + 1);
  const float share = end > begin ? 1.0F / static_cast<float>(end - begin) : 0;
  for (uint32_t column = lane(); column < p.columns; column += 32) {
    float sum = 0;
    AUSPEX_UNROLL(4)
    for (uint32_t i = begin; i < end; ++i) {
      sum += fetch(p.x + size_t{fetch(p.neighbours + i)} * p.columns + column);
    }
    p.y[size_t{node} * p.columns + column] = sum * share;
  }
}

// Of a row's inputs the next kOwnBytes' worth, in that format; zeros behind the `left` that there
// are.
template <Format kFormat>
AUSPEX_DEVICE void make_inputs(const float* row, uint32_t left, char* x) {
  constexpr uint32_t kBytes = element_bytes(kFormat);
  AUSPEX_UNROLL()
  for (uint32_t i = 0; i < kOwnBytes / kBytes; i += 4) {
    float value[4];
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < 4; ++k) value[k] = i + k < left ? fetch(row + i + k) : 0;
    uint32_t word[4];
    to_input(kFormat, value, 1, word);
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < kBytes; ++k) {
      reinterpret_cast<uint32_t*>(x)[i * kBytes / 4 + k] = word[k];
    }
  }
}

template <Format kFormat>
AUSPEX_DEVICE void product_body(const ProductParams& p, char* shared) {
  // Shapes: x [rows][inputs] -> y [rows][outputs]; block in [0, tiles * across)
  constexpr uint32_t kTile = kDenseMany;
  const uint32_t tiles = (p.rows + kTile - 1) / kTile;
  const uint32_t first = block() % tiles * kTile;                        // [0, rows)
  const uint32_t first_column = block() / tiles * dense_columns(kTile);  // [0, columns)
  const auto make = [&](uint32_t sample, uint32_t input, char* x) {
    const bool there = first + sample < p.rows && input < p.inputs;
    const float* const row = p.x + (there ? size_t{first + sample} * p.inputs + input : 0);
    make_inputs<kFormat>(row, there ? p.inputs - input : 0, x);
  };
  const auto take = [&](uint32_t sample, uint32_t column, float sum) {
    if (first + sample >= p.rows || column >= p.outputs) return;
    sum += fetch(p.layer.bias + column);
    p.y[size_t{first + sample} * p.outputs + column] = p.layer.relu && sum < 0 ? 0 : sum;
  };
  multiply_vectors<kTile, kFormat>(p.layer, first_column, 0, p.layer.steps, shared, make, take);
}

}  // namespace auspex::cuda
