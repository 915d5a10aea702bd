// SPDX-License-Identifier: Apache-2.0
// The orders in which the integer kernels read a layer's weights: kernels/int8_functions.h.
#pragma once

#include "kernels/packed.h"
#include "kernels/rounding.h"

namespace auspex {

// inputs, width: padded; what is behind the rows and columns that there are is zero.
Packed<int8_t> int8_rows(const RoundedWeights& weights, uint32_t inputs, uint32_t width);
Packed<int8_t> int8_tiles(const RoundedWeights& weights, uint32_t inputs, uint32_t width);
Packed<int8_t> int4_rows(const RoundedWeights& weights, uint32_t inputs, uint32_t width);
Packed<int8_t> int4_tiles(const RoundedWeights& weights, uint32_t inputs, uint32_t width);
// Of each four rows in sequence at most two of a column are not zero.
Packed<int8_t> pair_tiles(const RoundedWeights& weights, uint32_t inputs, uint32_t width);

}  // namespace auspex
