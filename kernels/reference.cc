// SPDX-License-Identifier: Apache-2.0
// The truth for every kernel test: double precision, in the order of the formula.
#include <vector>

#include "kernels/backends.h"

namespace auspex {
namespace {

class Reference final : public MlpBackend {
 public:
  std::string_view name() const override { return "reference"; }

  void predict(const ModelFile& model, std::span<const EncodedJob> jobs,
               float* outputs) const override {
    const auto layers = model.layers();
    for (const EncodedJob& job : jobs) {
      std::vector<double> x = first_layer(layers.front(), job);
      for (size_t i = 1; i < layers.size(); ++i) x = next_layer(layers[i], x);
      for (const double value : x) *outputs++ = static_cast<float>(value);
    }
  }

 private:
  // Shape: one-hot [inputs] -> [outputs]; numbers are the last kNumberCount inputs.
  static std::vector<double> first_layer(const LayerView& layer, const EncodedJob& job) {
    std::vector<double> y(layer.bias, layer.bias + layer.outputs);
    const auto add_row = [&](uint32_t row, double factor) {
      const float* weights = layer.weights + size_t{row} * layer.outputs;
      for (uint32_t j = 0; j < layer.outputs; ++j) y[j] += factor * weights[j];
    };
    for (uint32_t i = 0; i < job.row_count; ++i) add_row(job.rows[i], 1);
    const auto first_number = layer.inputs - static_cast<uint32_t>(kNumberCount);
    for (uint32_t i = 0; i < kNumberCount; ++i) add_row(first_number + i, job.numbers[i]);
    return activated(layer, std::move(y));
  }

  // Shape: [inputs] -> [outputs]
  static std::vector<double> next_layer(const LayerView& layer, const std::vector<double>& x) {
    std::vector<double> y(layer.bias, layer.bias + layer.outputs);
    for (uint32_t i = 0; i < layer.inputs; ++i) {
      const float* weights = layer.weights + size_t{i} * layer.outputs;
      for (uint32_t j = 0; j < layer.outputs; ++j) y[j] += x[i] * weights[j];
    }
    return activated(layer, std::move(y));
  }

  static std::vector<double> activated(const LayerView& layer, std::vector<double> y) {
    if (layer.relu) {
      for (double& value : y) value = value > 0 ? value : 0;
    }
    return y;
  }
};

}  // namespace

std::unique_ptr<MlpBackend> make_reference() {
  return std::make_unique<Reference>();
}

}  // namespace auspex
