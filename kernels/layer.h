// SPDX-License-Identifier: Apache-2.0
// The layers of a trunk, each packed for its precision and one instruction set.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "kernels/fp32_functions.h"
#include "kernels/int8_functions.h"
#include "kernels/packed.h"
#include "shared/model_file.h"

namespace auspex {

// Activations are padded with zeros to a multiple of this.
inline constexpr uint32_t kLayerWidth = 64;

// Samples that go through the layers together: their activations stay in the nearest caches.
// Source: ours; others near it are no faster.
inline constexpr uint32_t kTile = 48;

// One thread's, for any layer of up to `width` inputs.
struct Scratch {
  uint32_t width = 0;
  Packed<float> factors, scale;
  std::vector<const float*> fp32_rows;
  std::vector<const uint16_t*> bf16_rows;
  std::vector<const int8_t*> int8_rows;
  Packed<uint8_t> q, work;
  Packed<float> one_hot;  // of dense_input() alone
  // Of each sample of a tile, whether its sums went beyond the range of a float; once lost, it
  // stays lost.
  Packed<uint8_t> lost;

  void grow(uint32_t to_width);
};

// What one instruction set offers.
struct Functions {
  const Fp32Functions& fp32;
  const Int8Functions& int8;
};

class Layer {
 public:
  explicit Layer(uint32_t inputs, uint32_t width) : inputs_(inputs), width_(width) {}
  virtual ~Layer() = default;
  uint32_t inputs() const { return inputs_; }  // padded, as the layer before leaves them
  uint32_t width() const { return width_; }    // of the outputs, padded
  // x: [samples][inputs] -> y [samples][width], zeros behind the outputs; samples at most kTile.
  virtual void run(const float* x, uint32_t samples, Scratch& s, float* y) const = 0;

 private:
  uint32_t inputs_, width_;
};

// skip: of a single sample the rows of zero activations are left out. The layer's weights outlive
// an FP32 layer.
std::unique_ptr<const Layer> make_layer(const LayerView& layer, uint32_t inputs, bool skip,
                                        const Functions& functions);
std::unique_ptr<const Layer> float_layer(const LayerView& layer, uint32_t inputs, bool skip,
                                         const Functions& functions);
std::unique_ptr<const Layer> int_layer(const LayerView& layer, uint32_t inputs, bool skip,
                                       const Functions& functions);

class FirstLayer {
 public:
  explicit FirstLayer(uint32_t width) : width_(width) {}
  virtual ~FirstLayer() = default;
  uint32_t width() const { return width_; }
  // history: the numbers of the pointer network, of a single job; or none. y: [jobs][width], zeros
  // behind the outputs; at most kTile jobs.
  virtual void run(std::span<const EncodedJob> jobs, std::span<const float> history, Scratch& s,
                   float* y) const = 0;

 private:
  uint32_t width_;
};

// dense_rows: of the layer's inputs those behind the one-hot ones. FP32 reads the layer's own
// weights, which outlive it.
std::unique_ptr<const FirstLayer> gathered_input(const LayerView& layer, uint32_t dense_rows,
                                                 const Functions& functions);
// The one-hot as it is: every row is multiplied.
std::unique_ptr<const FirstLayer> dense_input(const LayerView& layer, uint32_t dense_rows,
                                              const Functions& functions);

}  // namespace auspex
