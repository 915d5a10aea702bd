// SPDX-License-Identifier: Apache-2.0
// Trunk: the layers of a network one behind the other, a tile of samples at a time.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kernels/layer.h"

namespace auspex {

class Trunk {
 public:
  // layers: that fits() accepts; their weights outlive it. dense_inputs: of the first, behind the
  // one-hot ones. skip, dense: see Plan in kernels/network.h.
  Trunk(std::span<const LayerView> layers, uint32_t dense_inputs, bool skip, bool dense,
        const Functions& functions);

  // Errors: what of the model its precisions cannot do.
  static Status fits(std::span<const LayerView> layers, uint64_t model_bytes);

  // Of this thread, until its next call.
  struct Activations {
    const float* context;  // Shape: [inputs of the last layer]
    const float* outputs;  // Shape: [outputs]
  };
  // history: the numbers of the pointer network, or none.
  Activations run(const EncodedJob& job, std::span<const float> history) const;
  // outputs: [jobs.size()][outputs]
  void run(std::span<const EncodedJob> jobs, float* outputs) const;

 private:
  struct Buffers;
  Buffers& buffers_of_thread() const;
  // Leaves the last layer's inputs in x, its outputs in y.
  void run_tile(std::span<const EncodedJob> jobs, std::span<const float> history,
                Buffers& buffers) const;

  uint32_t outputs_, widest_;
  std::unique_ptr<const FirstLayer> first_;
  std::vector<std::unique_ptr<const Layer>> next_;
};

}  // namespace auspex
