// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "kernels/layer.h"
#include "kernels/parts.h"
#include "kernels/rounding.h"

namespace auspex {

// The rows of a first layer behind the one-hot ones, in BF16.
class NumberRows {
 public:
  NumberRows(const LayerView& layer, uint32_t dense_rows, uint32_t width)
      : width_(width),
        rows_(bf16_rows(layer.weights + size_t{layer.inputs - dense_rows} * layer.outputs,
                        dense_rows, layer.outputs, width)) {}

  // Shape: job, history [0 or kHistoryNumbers] -> y [width], added to. What the history does not
  // know is zero.
  void add(const EncodedJob& job, std::span<const float> history, Scratch& s,
           const Fp32Functions& functions, float* y) const {
    const uint16_t** rows = s.bf16_rows.data();
    float* factors = s.factors.data();
    uint32_t count =
        list_active(rows_.data(), width_, job.numbers.data(), kNumberCount, rows, factors);
    count += list_active(rows_.data() + kNumberCount * width_, width_, history.data(),
                         static_cast<uint32_t>(history.size()), rows + count, factors + count);
    functions.add_bf16_rows(rows, factors, count, width_, y);
  }

 private:
  uint32_t width_;
  Packed<uint16_t> rows_;  // Shape: [dense_rows][width]
};

}  // namespace auspex
