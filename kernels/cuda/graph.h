// SPDX-License-Identifier: Apache-2.0
// A graph network's operations on the card, each on its own: see AbiModule.
#pragma once

#include "kernels/cuda/abi.h"
#include "kernels/cuda/runtime.h"

namespace auspex::cuda {

const char* mean_of_neighbours(const Card& card, const AbiGraph& graph, const float* x,
                               uint32_t columns, float* y);
const char* multiply(const Card& card, const AbiLayer& layer, const float* x, uint32_t rows,
                     float* y);

}  // namespace auspex::cuda
