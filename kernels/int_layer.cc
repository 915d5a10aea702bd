// SPDX-License-Identifier: Apache-2.0
// Layers in INT8, INT4 and 2:4. The model's own weights are not read again.
#include <algorithm>
#include <cmath>

#include "kernels/arrange.h"
#include "kernels/layer.h"

namespace auspex {
namespace {

class IntLayer final : public Layer {
 public:
  IntLayer(const LayerView& layer, uint32_t inputs, bool skip, const Int8Functions& functions)
      : Layer(inputs, padded(layer.outputs, width_step(layer.precision))),
        functions_(functions),
        steps_(layer.precision == Precision::kInt4 ? kInt4Steps : kInt8Steps) {
    const RoundedWeights weights = rounded(layer, layer.inputs, layer.precision);
    scales_ = padded_floats(weights.scales, width());
    bias_ = padded_floats({layer.bias, layer.outputs}, width());
    if (layer.precision == Precision::kInt4 && functions.int4_dense) {
      sparse_ = skip ? functions.int4_sparse : nullptr;
      dense_ = functions.int4_dense;
      if (sparse_) rows_ = int4_rows(weights, inputs, width());
      tiles_ = int4_tiles(weights, inputs, width());
    } else if (layer.precision == Precision::kInt8Pairs && functions.pairs_dense) {
      dense_ = functions.pairs_dense;
      tiles_ = pair_tiles(weights, inputs, width());
    } else {
      sparse_ = skip ? functions.sparse : nullptr;
      dense_ = functions.dense;
      if (sparse_ || !functions.reads_tiles) rows_ = int8_rows(weights, inputs, width());
      if (functions.reads_tiles) tiles_ = int8_tiles(weights, inputs, width());
    }
    view_ = {inputs,        width(),        layer.relu,  rows_.data(),
             tiles_.data(), scales_.data(), bias_.data()};
  }

  void run(const float* x, uint32_t samples, Scratch& s, float* y) const override {
    for (uint32_t k = 0; k < samples; ++k) {
      const size_t first = size_t{k} * inputs();
      s.scale[k] = functions_.quantize(x + first, inputs(), steps_, s.q.data() + first);
      if (!std::isfinite(s.scale[k])) s.lost[k] = true;
    }
    if (samples == 1 && sparse_) {
      sparse_(view_, s.q.data(), s.scale[0], s.work.data(), y);
    } else {
      dense_(view_, s.q.data(), s.scale.data(), samples, y);
    }
  }

 private:
  static uint32_t width_step(Precision precision) {
    return precision == Precision::kInt4 ? kInt4Width : kInt8Width;
  }

  const Int8Functions& functions_;
  uint32_t steps_;
  SparseFunction sparse_ = nullptr;  // none: a single sample's rows are all read
  DenseFunction dense_ = nullptr;
  Packed<int8_t> rows_, tiles_;
  Packed<float> scales_, bias_;
  Int8Layer view_;
};

}  // namespace

std::unique_ptr<const Layer> int_layer(const LayerView& layer, uint32_t inputs, bool skip,
                                       const Functions& functions) {
  return std::make_unique<IntLayer>(layer, inputs, skip, functions.int8);
}

}  // namespace auspex
