// SPDX-License-Identifier: Apache-2.0
// The first layer as a sum of the rows that the one-hot names, and of those that stand for numbers,
// with their sign and their range: in BF16 unless all is FP32.
#include <algorithm>

#include "kernels/layer.h"
#include "kernels/number_rows.h"
#include "kernels/rounding.h"

namespace auspex {
namespace {

static_assert(kCategoryCount <= kMostGathered);
// Jobs by which a batch asks for its rows before it adds them up. Source: ours, as kTile.
constexpr size_t kAhead = 4;

class Gathered : public FirstLayer {
 public:
  Gathered(const LayerView& layer, const Functions& functions)
      : FirstLayer(padded(layer.outputs, kLayerWidth)), layer_(layer), functions_(functions) {}

  void run(std::span<const EncodedJob> jobs, std::span<const float> history, Scratch& s,
           float* y) const final {
    for (size_t k = 0; k < jobs.size(); ++k, y += width()) {
      if (k + kAhead < jobs.size()) fetch(jobs[k + kAhead]);
      sum(jobs[k], history, s, y);
      if (layer_.relu) functions_.fp32.relu(y, width());
    }
  }

 protected:
  const LayerView layer_;
  const Functions functions_;

  void fetch_rows(const EncodedJob& job, const void* weights, size_t row_bytes) const {
    for (uint32_t i = 0; i < job.row_count; ++i) {
      const char* row = static_cast<const char*>(weights) + job.rows[i] * row_bytes;
      for (size_t at = 0; at < row_bytes; at += kCacheLine) __builtin_prefetch(row + at);
    }
  }

 private:
  virtual void fetch(const EncodedJob& job) const = 0;
  // -> y [width], before ReLU
  virtual void sum(const EncodedJob& job, std::span<const float> history, Scratch& s,
                   float* y) const = 0;
};

class Fp32Input final : public Gathered {
 public:
  using Gathered::Gathered;

 private:
  void fetch(const EncodedJob& job) const override {
    fetch_rows(job, layer_.weights, layer_.outputs * sizeof(float));
  }
  void sum(const EncodedJob& job, std::span<const float> history, Scratch& s,
           float* y) const override {
    const uint32_t outputs = layer_.outputs;
    std::copy_n(layer_.bias, outputs, y);
    std::fill(y + outputs, y + width(), 0.0F);
    const float** rows = s.fp32_rows.data();
    for (uint32_t i = 0; i < job.row_count; ++i) {
      rows[i] = layer_.weights + size_t{job.rows[i]} * outputs;
    }
    functions_.fp32.add_rows(rows, nullptr, job.row_count, outputs, y);
    const float* row = layer_.weights + (layer_.inputs - kNumberCount - history.size()) * outputs;
    float* factors = s.factors.data();
    uint32_t count = list_active(row, outputs, job.numbers.data(), kNumberCount, rows, factors);
    count += list_active(row + kNumberCount * outputs, outputs, history.data(),
                         static_cast<uint32_t>(history.size()), rows + count, factors + count);
    functions_.fp32.add_rows(rows, factors, count, outputs, y);
  }
};

class Bf16Input final : public Gathered {
 public:
  Bf16Input(const LayerView& layer, uint32_t dense_rows, const Functions& functions)
      : Gathered(layer, functions),
        rows_(bf16_rows(layer.weights, layer.inputs - dense_rows, layer.outputs, width())),
        bias_(padded_floats({layer.bias, layer.outputs}, width())),
        numbers_(layer, dense_rows, width()) {}

 private:
  void fetch(const EncodedJob& job) const override {
    fetch_rows(job, rows_.data(), width() * sizeof(uint16_t));
  }
  void sum(const EncodedJob& job, std::span<const float> history, Scratch& s,
           float* y) const override {
    std::copy(bias_.begin(), bias_.end(), y);
    for (uint32_t i = 0; i < job.row_count; ++i) {
      s.bf16_rows[i] = rows_.data() + size_t{job.rows[i]} * width();
      s.factors[i] = 1;
    }
    functions_.fp32.add_bf16_rows(s.bf16_rows.data(), s.factors.data(), job.row_count, width(), y);
    numbers_.add(job, history, s, functions_.fp32, y);
  }

  Packed<uint16_t> rows_;  // Shape: [one-hot rows][width]
  Packed<float> bias_;
  NumberRows numbers_;
};

class Int8Input final : public Gathered {
 public:
  Int8Input(const LayerView& layer, uint32_t dense_rows, const Functions& functions)
      : Gathered(layer, functions),
        bias_(padded_floats({layer.bias, layer.outputs}, width())),
        numbers_(layer, dense_rows, width()) {
    const RoundedWeights weights = rounded(layer, layer.inputs - dense_rows, Precision::kInt8);
    scales_ = padded_floats(weights.scales, width());
    rows_.resize(size_t{weights.rows} * width());
    for (size_t i = 0; i < weights.rows; ++i) {
      std::copy_n(weights.values.data() + i * weights.columns, weights.columns,
                  rows_.data() + i * width());
    }
  }

 private:
  void fetch(const EncodedJob& job) const override { fetch_rows(job, rows_.data(), width()); }
  void sum(const EncodedJob& job, std::span<const float> history, Scratch& s,
           float* y) const override {
    for (uint32_t i = 0; i < job.row_count; ++i) {
      s.int8_rows[i] = rows_.data() + size_t{job.rows[i]} * width();
    }
    functions_.int8.gather(s.int8_rows.data(), job.row_count, scales_.data(), bias_.data(), width(),
                           y);
    numbers_.add(job, history, s, functions_.fp32, y);
  }

  Packed<int8_t> rows_;  // Shape: [one-hot rows][width]
  Packed<float> scales_, bias_;
  NumberRows numbers_;
};

}  // namespace

std::unique_ptr<const FirstLayer> gathered_input(const LayerView& layer, uint32_t dense_rows,
                                                 const Functions& functions) {
  switch (layer.precision) {
    case Precision::kFp32:
      return std::make_unique<Fp32Input>(layer, functions);
    case Precision::kBf16:
      return std::make_unique<Bf16Input>(layer, dense_rows, functions);
    default:
      return std::make_unique<Int8Input>(layer, dense_rows, functions);
  }
}

}  // namespace auspex
