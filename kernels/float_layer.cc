// SPDX-License-Identifier: Apache-2.0
// Layers in FP32, from the model's own weights, and in BF16.
#include <algorithm>

#include "kernels/layer.h"
#include "kernels/parts.h"
#include "kernels/rounding.h"

namespace auspex {
namespace {

class FloatLayer : public Layer {
 public:
  FloatLayer(const LayerView& layer, uint32_t inputs, bool skip, const Functions& functions)
      : Layer(inputs, padded(layer.outputs, kLayerWidth)),
        functions_(functions.fp32),
        layer_(layer),
        skip_(skip) {}

  void run(const float* x, uint32_t samples, Scratch& s, float* y) const final {
    for (uint32_t k = 0; k < samples; ++k) {
      float* to = y + size_t{k} * width();
      std::copy_n(layer_.bias, layer_.outputs, to);
      std::fill(to + layer_.outputs, to + width(), 0.0F);
    }
    if (samples == 1 && skip_) {
      add_active(x, s, y);
    } else {
      add_all(x, samples, y);
    }
    if (layer_.relu) functions_.relu(y, samples * width());
  }

 protected:
  const Fp32Functions& functions_;
  const LayerView layer_;

 private:
  // y += x W: of one sample the rows that are not multiplied by zero, and all.
  virtual void add_active(const float* x, Scratch& s, float* y) const = 0;
  virtual void add_all(const float* x, uint32_t samples, float* y) const = 0;
  bool skip_;
};

class Fp32Layer final : public FloatLayer {
 public:
  using FloatLayer::FloatLayer;

 private:
  void add_active(const float* x, Scratch& s, float* y) const override {
    const uint32_t count = list_active(layer_.weights, layer_.outputs, x, layer_.inputs,
                                       s.fp32_rows.data(), s.factors.data());
    functions_.add_rows(s.fp32_rows.data(), s.factors.data(), count, layer_.outputs, y);
  }
  void add_all(const float* x, uint32_t samples, float* y) const override {
    functions_.multiply({layer_.weights, layer_.inputs, layer_.outputs, layer_.outputs, x, y,
                         samples, inputs(), width()});
  }
};

class Bf16Layer final : public FloatLayer {
 public:
  Bf16Layer(const LayerView& layer, uint32_t inputs, bool skip, const Functions& functions)
      : FloatLayer(layer, inputs, skip, functions),
        columns_(padded(layer.outputs, kBf16Width)),
        rows_(bf16_rows(layer.weights, layer.inputs, layer.outputs, columns_)) {}

 private:
  void add_active(const float* x, Scratch& s, float* y) const override {
    const uint32_t count =
        list_active(rows_.data(), columns_, x, layer_.inputs, s.bf16_rows.data(), s.factors.data());
    functions_.add_bf16_rows(s.bf16_rows.data(), s.factors.data(), count, columns_, y);
  }
  void add_all(const float* x, uint32_t samples, float* y) const override {
    functions_.multiply_bf16(
        {rows_.data(), layer_.inputs, columns_, columns_, x, y, samples, inputs(), width()});
  }

  uint32_t columns_;
  Packed<uint16_t> rows_;  // Shape: [inputs][columns_]
};

}  // namespace

std::unique_ptr<const Layer> float_layer(const LayerView& layer, uint32_t inputs, bool skip,
                                         const Functions& functions) {
  if (layer.precision == Precision::kBf16) {
    return std::make_unique<Bf16Layer>(layer, inputs, skip, functions);
  }
  return std::make_unique<Fp32Layer>(layer, inputs, skip, functions);
}

}  // namespace auspex
