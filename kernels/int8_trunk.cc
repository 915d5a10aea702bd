// SPDX-License-Identifier: Apache-2.0
// The layers in INT8. What stands for a number, with its sign and its range, and the last layer are
// in BF16: they are few.
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <new>
#include <string>
#include <vector>

#include "kernels/parts.h"

namespace auspex {
namespace {

constexpr size_t kCacheLine = 64;
static_assert(kCategoryCount <= kMostGathered);
// Samples that go through the layers together: their activations stay in the nearest caches.
// Source: ours, as is kAhead; others near them are no faster.
constexpr uint32_t kTile = 48;
// Samples by which a batch asks for its rows before it adds them up.
constexpr uint32_t kAhead = 2;

// On a cache line's border, and on huge pages where the system gives them: gathered rows lie far
// apart.
template <class T>
struct Placed {
  using value_type = T;
  static constexpr size_t kHugePage = size_t{2} << 20;
  static std::align_val_t alignment(size_t n) {
    return std::align_val_t{n * sizeof(T) >= kHugePage ? kHugePage : kCacheLine};
  }
  T* allocate(size_t n) {
    void* memory = ::operator new(n * sizeof(T), alignment(n));
    if (n * sizeof(T) >= kHugePage) ::madvise(memory, n * sizeof(T), MADV_HUGEPAGE);
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t n) { ::operator delete(memory, alignment(n)); }
  bool operator==(const Placed&) const { return true; }
};
template <class T>
using Packed = std::vector<T, Placed<T>>;

// Round to nearest, ties to even; beyond the largest finite one, to that.
uint16_t bf16_of(float value) {
  constexpr float kLargest = std::bit_cast<float>(0x7F7F0000U);
  const auto bits = std::bit_cast<uint32_t>(std::clamp(value, -kLargest, kLargest));
  return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

// weights: [rows][columns] -> [rows][padded], columns in the order of bf16_place()
Packed<uint16_t> bf16_rows(const float* weights, uint32_t rows, uint32_t columns, uint32_t width) {
  Packed<uint16_t> packed(size_t{rows} * width);
  for (size_t i = 0; i < rows; ++i) {
    for (uint32_t j = 0; j < columns; ++j) {
      packed[i * width + bf16_place(j)] = bf16_of(weights[i * columns + j]);
    }
  }
  return packed;
}

Packed<float> padded_bias(const LayerView& layer, uint32_t width) {
  Packed<float> bias(width);
  std::copy_n(layer.bias, layer.outputs, bias.begin());
  return bias;
}

// Largest of each column over the first `rows`, in 127 steps. Shape: [width]
Packed<float> column_scales(const LayerView& layer, uint32_t rows, uint32_t width) {
  Packed<float> scales(width);
  for (size_t i = 0; i < rows; ++i) {
    for (uint32_t j = 0; j < layer.outputs; ++j) {
      scales[j] = std::max(scales[j], std::abs(layer.weights[i * layer.outputs + j]));
    }
  }
  for (float& scale : scales) scale /= 127;
  return scales;
}

int8_t int8_of(float weight, float scale) {
  if (!(scale > 0)) return 0;
  return static_cast<int8_t>(std::clamp(std::lrint(weight / scale), -127L, 127L));
}

struct FirstLayer {
  uint32_t width = 0, dense_inputs = 0;
  Packed<int8_t> rows;  // Shape: [one-hot rows][width]
  Packed<float> scales, bias;
  Packed<uint16_t> dense;  // Shape: [dense_inputs][width]

  FirstLayer(const LayerView& layer, uint32_t dense_rows)
      : width(padded(layer.outputs, kInt8Width)), dense_inputs(dense_rows) {
    const uint32_t one_hot = layer.inputs - dense_rows;
    scales = column_scales(layer, one_hot, width);
    bias = padded_bias(layer, width);
    rows.resize(size_t{one_hot} * width);
    for (size_t i = 0; i < one_hot; ++i) {
      for (uint32_t j = 0; j < layer.outputs; ++j) {
        rows[i * width + j] = int8_of(layer.weights[i * layer.outputs + j], scales[j]);
      }
    }
    dense = bf16_rows(layer.weights + size_t{one_hot} * layer.outputs, dense_rows, layer.outputs,
                      width);
  }
};

struct HiddenLayer {
  Packed<int8_t> rows, tiles;
  Packed<float> scales, bias;
  Int8Layer view;

  HiddenLayer(const LayerView& layer, uint32_t inputs) {
    const uint32_t width = padded(layer.outputs, kInt8Width);
    scales = column_scales(layer, layer.inputs, width);
    bias = padded_bias(layer, width);
    rows.resize(size_t{inputs} * width);
    tiles.resize(rows.size());
    for (size_t i = 0; i < layer.inputs; ++i) {
      for (uint32_t j = 0; j < layer.outputs; ++j) {
        const int8_t weight = int8_of(layer.weights[i * layer.outputs + j], scales[j]);
        rows[i * width + row_place(j)] = weight;
        tiles[size_t{j} / 64 * 64 * inputs + i / 4 * 256 + j % 64 * 4 + i % 4] = weight;
      }
    }
    view = {inputs, width, layer.relu, rows.data(), tiles.data(), scales.data(), bias.data()};
  }
};

struct LastLayer {
  uint32_t inputs = 0, outputs = 0, width = 0;
  Packed<uint16_t> rows;  // Shape: [inputs][width]
  Packed<float> bias;

  explicit LastLayer(const LayerView& layer)
      : inputs(layer.inputs), outputs(layer.outputs), width(padded(layer.outputs, kBf16Width)) {
    rows = bf16_rows(layer.weights, inputs, outputs, width);
    bias = padded_bias(layer, width);
  }
};

struct Scratch {
  uint32_t widest = 0;
  Packed<float> x, y, outputs, factors;
  Packed<uint8_t> q, work;
  Packed<float> scale;
  std::vector<const int8_t*> gathered;
  std::vector<const uint16_t*> rows;
};

class Int8Trunk final : public Trunk {
 public:
  Int8Trunk(const ModelFile& model, const Fp32Functions& fp32, const Int8Functions& int8)
      : fp32_(fp32),
        int8_(int8),
        first_(model.layers().front(), model.dense_inputs()),
        last_(model.layers().back()) {
    widest_ = std::max(first_.width, last_.width);
    uint32_t inputs = first_.width;
    for (const LayerView& layer : model.layers().subspan(1, model.layers().size() - 2)) {
      hidden_.emplace_back(layer, inputs);
      inputs = hidden_.back().view.width;
      widest_ = std::max(widest_, inputs);
    }
  }

  Activations run(const EncodedJob& job, std::span<const float> history) const override {
    Scratch& s = scratch_of_thread();
    first_layer(job, history, s, s.x.data());
    for (const HiddenLayer& layer : hidden_) {
      const float scale = int8_.quantize(s.x.data(), layer.view.inputs, s.q.data());
      if (!std::isfinite(scale)) return overflowed(s);
      int8_.sparse(layer.view, s.q.data(), scale, s.work.data(), s.y.data());
      std::swap(s.x, s.y);
    }
    last_layer(s.x.data(), s, s.outputs.data());
    return {s.x.data(), s.outputs.data()};
  }

  void run(std::span<const EncodedJob> jobs, float* outputs) const override {
    Scratch& s = scratch_of_thread();
    for (size_t begin = 0; begin < jobs.size(); begin += kTile) {
      const auto tile = jobs.subspan(begin, std::min<size_t>(kTile, jobs.size() - begin));
      if (tile.size() == 1) {
        std::copy_n(run(tile[0], {}).outputs, last_.outputs, outputs);
        return;
      }
      run_tile(tile, s, outputs);
      outputs += tile.size() * last_.outputs;
    }
  }

 private:
  Scratch& scratch_of_thread() const {
    thread_local Scratch s;
    const size_t rows = std::max({widest_, first_.dense_inputs, uint32_t{kCategoryCount}});
    if (s.widest < widest_ || s.factors.size() < rows) {
      const size_t widest = std::max<size_t>(s.widest, widest_);
      s.x.resize(kTile * widest);
      s.y.resize(s.x.size());
      s.q.resize(s.x.size());
      s.work.resize((widest + 16) * 8);
      s.outputs.resize(widest);
      s.scale.resize(kTile);
      s.gathered.resize(kCategoryCount);
      s.rows.resize(std::max(s.rows.size(), rows));
      s.factors.resize(s.rows.size());
      s.widest = static_cast<uint32_t>(widest);  // the last: should one fail, it is tried again
    }
    return s;
  }

  // Of sums beyond the range of a float nothing is left that could be quantized.
  Activations overflowed(Scratch& s) const {
    std::fill(s.outputs.begin(), s.outputs.end(), std::numeric_limits<float>::quiet_NaN());
    return {s.x.data(), s.outputs.data()};
  }

  // jobs: [samples] -> outputs [samples][outputs]
  void run_tile(std::span<const EncodedJob> jobs, Scratch& s, float* outputs) const {
    uint32_t width = first_.width;
    std::fill_n(s.scale.begin(), jobs.size(), 0.0F);
    for (size_t k = 0; k < jobs.size(); ++k) {
      if (k + kAhead < jobs.size()) fetch_rows(jobs[k + kAhead]);
      first_layer(jobs[k], {}, s, s.x.data() + k * width);
    }
    for (const HiddenLayer& layer : hidden_) {
      for (size_t k = 0; k < jobs.size(); ++k) {
        const float scale = int8_.quantize(s.x.data() + k * width, width, s.q.data() + k * width);
        // Once lost, a sample stays lost.
        s.scale[k] = std::isfinite(s.scale[k]) ? scale : s.scale[k];
      }
      int8_.dense(layer.view, s.q.data(), s.scale.data(), static_cast<uint32_t>(jobs.size()),
                  s.y.data());
      std::swap(s.x, s.y);
      width = layer.view.width;
    }
    for (size_t k = 0; k < jobs.size(); ++k) {
      if (std::isfinite(s.scale[k])) {
        last_layer(s.x.data() + k * width, s, s.outputs.data());
      } else {
        overflowed(s);
      }
      outputs = std::copy_n(s.outputs.data(), last_.outputs, outputs);
    }
  }

  void fetch_rows(const EncodedJob& job) const {
    for (uint32_t i = 0; i < job.row_count; ++i) {
      const int8_t* row = first_.rows.data() + size_t{job.rows[i]} * first_.width;
      for (uint32_t j = 0; j < first_.width; j += kCacheLine) __builtin_prefetch(row + j);
    }
  }

  // Shape: job, history [0 or kHistoryNumbers] -> y [width]
  void first_layer(const EncodedJob& job, std::span<const float> history, Scratch& s,
                   float* y) const {
    for (uint32_t i = 0; i < job.row_count; ++i) {
      s.gathered[i] = first_.rows.data() + size_t{job.rows[i]} * first_.width;
    }
    int8_.gather(s.gathered.data(), job.row_count, first_.scales.data(), first_.bias.data(),
                 first_.width, y);
    const uint16_t* row = first_.dense.data();
    uint32_t count = list_active(row, first_.width, job.numbers.data(), kNumberCount, s.rows.data(),
                                 s.factors.data());
    row += kNumberCount * first_.width;
    // What the history does not know is zero.
    count += list_active(row, first_.width, history.data(), static_cast<uint32_t>(history.size()),
                         s.rows.data() + count, s.factors.data() + count);
    fp32_.add_bf16_rows(s.rows.data(), s.factors.data(), count, first_.width, y);
    fp32_.relu(y, first_.width);
  }

  // Shape: x [inputs] -> outputs [width]
  void last_layer(const float* x, Scratch& s, float* outputs) const {
    const uint32_t count = list_active(last_.rows.data(), last_.width, x, last_.inputs,
                                       s.rows.data(), s.factors.data());
    std::copy(last_.bias.begin(), last_.bias.end(), outputs);
    fp32_.add_bf16_rows(s.rows.data(), s.factors.data(), count, last_.width, outputs);
  }

  const Fp32Functions& fp32_;
  const Int8Functions& int8_;
  FirstLayer first_;
  std::vector<HiddenLayer> hidden_;
  LastLayer last_;
  uint32_t widest_ = 0;
};

}  // namespace

Status fits_int8(const ModelFile& model) {
  const auto layers = model.layers();
  for (size_t i = 0; i < layers.size(); ++i) {
    const bool last = i + 1 == layers.size();
    if (layers[i].relu == last) {
      return Error{"INT8 needs ReLU behind each layer but the last: layer " +
                   std::to_string(i + 1) + (last ? " has it" : " has none")};
    }
  }
  // Widths are padded: of narrow layers more bytes would be made than the file has.
  constexpr uint64_t kMostBytes = 64U << 20;
  uint64_t bytes = 0, inputs = layers.front().inputs;
  for (const LayerView& layer : layers) {
    const uint64_t width = padded(layer.outputs, kInt8Width);
    bytes += 2 * inputs * width;
    inputs = width;
  }
  if (bytes > std::max(kMostBytes, model.summary().bytes)) {
    return Error{"INT8 would make " + std::to_string(bytes) + " bytes of these narrow layers"};
  }
  return Done{};
}

std::unique_ptr<const Trunk> int8_trunk(const ModelFile& model, const Fp32Functions& functions,
                                        const Int8Functions& int8) {
  return std::make_unique<Int8Trunk>(model, functions, int8);
}

}  // namespace auspex
