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

  Result run(const EncodedJob& job, std::span<const float> history) const override {
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
    if (scratch.factors.size() < width) {
      scratch.values.resize(2 * width);
      scratch.factors.resize(width);
      scratch.rows.resize(width);
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
    uint32_t count = 0;
    const auto add = [&](float value) {
      rows[count] = row;
      scratch.factors[count] = value;
      count += value != 0;  // what the history does not know is zero
      row += layer.outputs;
    };
    for (const float value : job.numbers) add(value);
    for (const float value : history) add(value);
    functions_.add_rows(rows, scratch.factors.data(), count, layer.outputs, y);
    if (layer.relu) functions_.relu(y, layer.outputs);
  }

  // Shape: x [inputs] -> y [outputs]
  void next_layer(const LayerView& layer, Scratch& scratch) const {
    uint32_t count = 0;
    for (uint32_t i = 0; i < layer.inputs; ++i) {  // without a branch: half are zero, at random
      scratch.rows[count] = layer.weights + size_t{i} * layer.outputs;
      scratch.factors[count] = scratch.x[i];
      count += scratch.x[i] != 0;
    }
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
