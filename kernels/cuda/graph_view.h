// SPDX-License-Identifier: Apache-2.0
// What the kernels of a graph network's operations are told. All pointers are the card's.
#pragma once

#include "kernels/cuda/network_view.h"

namespace auspex::cuda {

// Of each node the mean of its neighbours' rows; of one without any, zeros.
struct MeanParams {
  const uint32_t* begins = nullptr;      // Shape: [nodes + 1]: into `neighbours`, ascending
  const uint32_t* neighbours = nullptr;  // Shape: [begins[nodes]]; each in [0, nodes)
  const float* x = nullptr;              // Shape: [nodes][columns]
  uint32_t nodes = 0, columns = 0;
  float* y = nullptr;  // Shape: [nodes][columns]
};

// y = x times weights, plus bias, and ReLU where the layer has it. In the layer's format, which is
// none of integers; sums are FP32.
struct ProductParams {
  TileLayer layer;
  const float* x = nullptr;  // Shape: [rows][inputs]
  uint32_t rows = 0, inputs = 0, outputs = 0;
  float* y = nullptr;  // Shape: [rows][outputs]
};

// Errors: as in runtime.h.
struct Stream;
const char* launch_mean(const MeanParams& params, Stream* stream);
const char* launch_product(const ProductParams& params, Stream* stream);

AUSPEX_CONSTEXPR uint32_t mean_blocks(const MeanParams& p) {
  return (p.nodes + kWarps - 1) / kWarps;
}
AUSPEX_CONSTEXPR uint32_t product_blocks(const ProductParams& p) {
  return (p.rows + kDenseMany - 1) / kDenseMany * dense_across(p.layer, kDenseMany);
}

}  // namespace auspex::cuda
