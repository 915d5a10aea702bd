// SPDX-License-Identifier: Apache-2.0
#include "kernels/trunk.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

namespace auspex {

void Scratch::grow(uint32_t to_width) {
  // In a first layer: the rows of the categories, or of all numbers.
  constexpr size_t kLeast = std::max(kCategoryCount, kNumberCount + kHistoryNumbers);
  if (width >= to_width && width > 0) return;
  const size_t most = std::max<size_t>(to_width, kLeast);
  factors.resize(most);
  fp32_rows.resize(most);
  bf16_rows.resize(most);
  int8_rows.resize(most);
  scale.resize(kTile);
  lost.resize(kTile);
  q.resize(kTile * most);
  work.resize((most + 16) * 8);
  width = static_cast<uint32_t>(most);  // the last: should one fail, it is tried again
}

struct Trunk::Buffers {
  Scratch s;
  Packed<float> x, y;  // Shape: [kTile][widest]
};

std::unique_ptr<const Layer> make_layer(const LayerView& layer, uint32_t inputs, bool skip,
                                        const Functions& functions) {
  const bool integers = needs_relu_before(layer.precision);
  return (integers ? int_layer : float_layer)(layer, inputs, skip, functions);
}

Trunk::Trunk(std::span<const LayerView> layers, uint32_t dense_inputs, bool skip, bool dense,
             const Functions& functions)
    : outputs_(layers.back().outputs) {
  first_ = (dense ? dense_input : gathered_input)(layers.front(), dense_inputs, functions);
  widest_ = first_->width();
  for (const LayerView& layer : layers.subspan(1)) {
    const uint32_t inputs = next_.empty() ? first_->width() : next_.back()->width();
    next_.push_back(make_layer(layer, inputs, skip, functions));
    widest_ = std::max(widest_, next_.back()->width());
  }
}

Status Trunk::fits(std::span<const LayerView> layers, uint64_t model_bytes) {
  // Widths are padded: of narrow layers more bytes would be made than the file has.
  constexpr uint64_t kMostBytes = 64U << 20;
  uint64_t bytes = 0, inputs = layers.front().inputs;
  for (size_t i = 0; i < layers.size(); ++i) {
    const std::string name(precision_name(layers[i].precision));
    if (i == 0 && layers[i].precision > Precision::kInt8) {
      return Error{"the first layer cannot be " + name + ", INT8 is the coarsest it can be"};
    }
    if (i > 0 && needs_relu_before(layers[i].precision) && !layers[i - 1].relu) {
      return Error{name + " needs ReLU before it: layer " + std::to_string(i) + " has none"};
    }
    const uint64_t width = padded(layers[i].outputs, kInt4Width);
    if (layers[i].precision != Precision::kFp32) bytes += 2 * inputs * width;
    inputs = width;
  }
  if (bytes > std::max(kMostBytes, model_bytes)) {
    return Error{"its precisions would make " + std::to_string(bytes) +
                 " bytes of these narrow layers"};
  }
  return Done{};
}

Trunk::Buffers& Trunk::buffers_of_thread() const {
  thread_local Buffers buffers;
  buffers.s.grow(widest_);
  if (buffers.y.size() < size_t{kTile} * widest_) {
    buffers.x.resize(size_t{kTile} * widest_);
    buffers.y.resize(buffers.x.size());
  }
  return buffers;
}

void Trunk::run_tile(std::span<const EncodedJob> jobs, std::span<const float> history,
                     Buffers& b) const {
  const auto samples = static_cast<uint32_t>(jobs.size());
  std::fill_n(b.s.lost.begin(), samples, false);
  first_->run(jobs, history, b.s, b.y.data());
  for (const auto& layer : next_) {
    std::swap(b.x, b.y);
    layer->run(b.x.data(), samples, b.s, b.y.data());
  }
  // Of sums beyond the range of a float nothing was left that could be quantized.
  for (uint32_t k = 0; k < samples; ++k) {
    if (!b.s.lost[k]) continue;
    std::fill_n(b.y.data() + size_t{k} * next_.back()->width(), outputs_,
                std::numeric_limits<float>::quiet_NaN());
  }
}

Trunk::Activations Trunk::run(const EncodedJob& job, std::span<const float> history) const {
  Buffers& buffers = buffers_of_thread();
  run_tile({&job, 1}, history, buffers);
  return {buffers.x.data(), buffers.y.data()};
}

void Trunk::run(std::span<const EncodedJob> jobs, float* outputs) const {
  Buffers& buffers = buffers_of_thread();
  for (size_t begin = 0; begin < jobs.size(); begin += kTile) {
    const auto tile = jobs.subspan(begin, std::min<size_t>(kTile, jobs.size() - begin));
    run_tile(tile, {}, buffers);
    for (size_t k = 0; k < tile.size(); ++k) {
      outputs = std::copy_n(buffers.y.data() + k * next_.back()->width(), outputs_, outputs);
    }
  }
}

}  // namespace auspex
