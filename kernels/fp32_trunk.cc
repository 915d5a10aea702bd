// SPDX-License-Identifier: Apache-2.0
// One sample at a time, from the model's own weights. The first layer is a sum of about 20 rows;
// later layers sum only the rows whose activation is not zero, which ReLU makes about half of them.
#include <algorithm>
#include <vector>

#include "kernels/parts.h"

namespace auspex {
namespace {

struct Scratch {
  std::vector<float> values, factors;
  std::vector<const float*> rows;
  float* x = nullptr;  // input of the last layer
  float* y = nullptr;  // its output
};

class Fp32Trunk final : public Trunk {
 public:
  Fp32Trunk(const ModelFile& model, const Fp32Functions& functions)
      : model_(model), functions_(functions) {}

  Activations run(const EncodedJob& job, std::span<const float> history) const override {
    Scratch& scratch = scratch_of_thread();
    const auto layers = model_.layers();
    first_layer(layers.front(), job, history, scratch);
    for (size_t i = 1; i < layers.size(); ++i) {
      std::swap(scratch.x, scratch.y);
      next_layer(layers[i], scratch);
    }
    return {scratch.x, scratch.y};
  }

  void run(std::span<const EncodedJob> jobs, float* outputs) const override {
    for (const EncodedJob& job : jobs) {
      outputs = std::copy_n(run(job, {}).outputs, model_.layers().back().outputs, outputs);
    }
  }

 private:
  Scratch& scratch_of_thread() const {
    thread_local Scratch scratch;
    const size_t width = std::max<size_t>(model_.max_width(), kCategoryCount + kHistoryNumbers);
    if (scratch.factors.size() < width) {  // the last to grow: should one fail, it is tried again
      scratch.values.resize(2 * width);
      scratch.rows.resize(width);
      scratch.factors.resize(width);
    }
    scratch.x = scratch.values.data();
    scratch.y = scratch.values.data() + scratch.factors.size();
    return scratch;
  }

  // Shape: job, history [0 or kHistoryNumbers] -> y [outputs]
  void first_layer(const LayerView& layer, const EncodedJob& job, std::span<const float> history,
                   Scratch& scratch) const {
    float* y = scratch.y;
    const float** rows = scratch.rows.data();
    std::copy_n(layer.bias, layer.outputs, y);
    for (uint32_t i = 0; i < job.row_count; ++i) {
      rows[i] = layer.weights + size_t{job.rows[i]} * layer.outputs;
    }
    functions_.add_rows(rows, nullptr, job.row_count, layer.outputs, y);
    const float* row =
        layer.weights + (layer.inputs - kNumberCount - history.size()) * layer.outputs;
    float* factors = scratch.factors.data();
    uint32_t count =
        list_active(row, layer.outputs, job.numbers.data(), kNumberCount, rows, factors);
    // What the history does not know is zero.
    count += list_active(row + kNumberCount * layer.outputs, layer.outputs, history.data(),
                         static_cast<uint32_t>(history.size()), rows + count, factors + count);
    functions_.add_rows(rows, factors, count, layer.outputs, y);
    if (layer.relu) functions_.relu(y, layer.outputs);
  }

  // Shape: x [inputs] -> y [outputs]
  void next_layer(const LayerView& layer, Scratch& scratch) const {
    const uint32_t count = list_active(layer.weights, layer.outputs, scratch.x, layer.inputs,
                                       scratch.rows.data(), scratch.factors.data());
    std::copy_n(layer.bias, layer.outputs, scratch.y);
    functions_.add_rows(scratch.rows.data(), scratch.factors.data(), count, layer.outputs,
                        scratch.y);
    if (layer.relu) functions_.relu(scratch.y, layer.outputs);
  }

  const ModelFile& model_;
  const Fp32Functions& functions_;
};

}  // namespace

std::unique_ptr<const Trunk> fp32_trunk(const ModelFile& model, const Fp32Functions& functions) {
  return std::make_unique<Fp32Trunk>(model, functions);
}

}  // namespace auspex
