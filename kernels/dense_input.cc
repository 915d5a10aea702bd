// SPDX-License-Identifier: Apache-2.0
// The first layer as the paper computes it: the one-hot is a vector of numbers, and all rows are
// multiplied. For comparison: it reads a thousand times the bytes.
#include <algorithm>
#include <optional>
#include <utility>

#include "kernels/layer.h"
#include "kernels/number_rows.h"

namespace auspex {
namespace {

// What ReLU left is all that integers can read: their numbers are added apart.
class DenseInput final : public FirstLayer {
 public:
  DenseInput(const LayerView& layer, uint32_t dense_rows, const Functions& functions)
      : DenseInput(layer, dense_rows, functions, needs_relu_before(layer.precision)) {}

  void run(std::span<const EncodedJob> jobs, std::span<const float> history, Scratch& s,
           float* y) const override {
    const uint32_t inputs = layer_->inputs();
    s.grow(inputs);
    s.one_hot.assign(jobs.size() * inputs, 0.0F);
    for (size_t k = 0; k < jobs.size(); ++k) {
      float* x = s.one_hot.data() + k * inputs;
      for (uint32_t i = 0; i < jobs[k].row_count; ++i) x[jobs[k].rows[i]] = 1;
      if (numbers_) continue;
      float* numbers = std::copy(jobs[k].numbers.begin(), jobs[k].numbers.end(), x + one_hot_);
      std::copy(history.begin(), history.end(), numbers);
    }
    layer_->run(s.one_hot.data(), static_cast<uint32_t>(jobs.size()), s, y);
    if (!numbers_) return;
    for (size_t k = 0; k < jobs.size(); ++k, y += width()) {
      numbers_->add(jobs[k], history, s, functions_.fp32, y);
      if (relu_) functions_.fp32.relu(y, width());
    }
  }

 private:
  DenseInput(const LayerView& layer, uint32_t dense_rows, const Functions& functions, bool apart)
      : DenseInput(layer, dense_rows, functions, apart,
                   make_layer(apart ? one_hot_part(layer, dense_rows) : layer,
                              padded(layer.inputs, kLayerWidth), false, functions)) {}
  DenseInput(const LayerView& layer, uint32_t dense_rows, const Functions& functions, bool apart,
             std::unique_ptr<const Layer> rows)
      : FirstLayer(rows->width()),
        functions_(functions),
        one_hot_(layer.inputs - dense_rows),
        relu_(layer.relu),
        layer_(std::move(rows)) {
    if (apart) numbers_.emplace(layer, dense_rows, width());
  }

  static LayerView one_hot_part(LayerView layer, uint32_t dense_rows) {
    layer.inputs -= dense_rows;
    layer.relu = false;
    return layer;
  }

  const Functions functions_;
  uint32_t one_hot_;
  bool relu_;
  std::unique_ptr<const Layer> layer_;
  std::optional<NumberRows> numbers_;  // those that are apart
};

}  // namespace

std::unique_ptr<const FirstLayer> dense_input(const LayerView& layer, uint32_t dense_rows,
                                              const Functions& functions) {
  return std::make_unique<DenseInput>(layer, dense_rows, functions);
}

}  // namespace auspex
