// SPDX-License-Identifier: Apache-2.0
#include "kernels/backends.h"

#include <algorithm>
#include <string>

namespace auspex {
namespace {

// One sample at a time. The first layer is a sum of about 20 rows; later layers sum only the rows
// whose activation is not zero, which ReLU makes about half of them.
class Fp32 final : public MlpBackend {
 public:
  Fp32(std::string_view name, AddRows add_rows) : name_(name), add_rows_(add_rows) {}
  std::string_view name() const override { return name_; }

  void predict(const ModelFile& model, std::span<const EncodedJob> jobs,
               float* outputs) const override {
    const auto layers = model.layers();
    thread_local std::vector<float> scratch, factors;
    thread_local std::vector<const float*> rows;
    const size_t width = std::max<size_t>(model.max_width(), kCategoryCount + kNumberCount);
    if (scratch.size() < 2 * width) {
      scratch.resize(2 * width);
      factors.resize(width);
      rows.resize(width);
    }
    float* x = scratch.data();
    float* y = scratch.data() + width;
    for (const EncodedJob& job : jobs) {
      first_layer(layers.front(), job, rows.data(), y);
      for (size_t i = 1; i < layers.size(); ++i) {
        std::swap(x, y);
        next_layer(layers[i], x, rows.data(), factors.data(), y);
      }
      outputs = std::copy_n(y, layers.back().outputs, outputs);
    }
  }

 private:
  // Shape: job -> y [outputs]
  void first_layer(const LayerView& layer, const EncodedJob& job, const float** rows,
                   float* y) const {
    std::copy_n(layer.bias, layer.outputs, y);
    for (uint32_t i = 0; i < job.row_count; ++i) {
      rows[i] = layer.weights + size_t{job.rows[i]} * layer.outputs;
    }
    add_rows_(rows, nullptr, job.row_count, layer.outputs, y);
    const float* first_number = layer.weights + (layer.inputs - kNumberCount) * layer.outputs;
    for (size_t i = 0; i < kNumberCount; ++i) rows[i] = first_number + i * layer.outputs;
    add_rows_(rows, job.numbers.data(), kNumberCount, layer.outputs, y);
    activate(layer, y);
  }

  // Shape: x [inputs] -> y [outputs]
  void next_layer(const LayerView& layer, const float* x, const float** rows, float* factors,
                  float* y) const {
    uint32_t count = 0;
    for (uint32_t i = 0; i < layer.inputs; ++i) {  // without a branch: half are zero, at random
      rows[count] = layer.weights + size_t{i} * layer.outputs;
      factors[count] = x[i];
      count += x[i] != 0;
    }
    std::copy_n(layer.bias, layer.outputs, y);
    add_rows_(rows, factors, count, layer.outputs, y);
    activate(layer, y);
  }

  static void activate(const LayerView& layer, float* y) {
    if (!layer.relu) return;
    for (uint32_t j = 0; j < layer.outputs; ++j) y[j] = y[j] > 0 ? y[j] : 0;
  }

  std::string_view name_;
  AddRows add_rows_;
};

struct Candidate {
  std::string_view name;
  AddRows add_rows;
  bool runs;
};

// Fastest first.
std::vector<Candidate> candidates() {
  return {
      {"fp32-avx512", add_rows_avx512,
       __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")},
      {"fp32-avx2", add_rows_avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
      {"fp32-portable", add_rows_portable, true}};
}

}  // namespace

std::vector<std::string_view> available_backends() {
  std::vector<std::string_view> names;
  for (const Candidate& candidate : candidates()) {
    if (candidate.runs) names.push_back(candidate.name);
  }
  names.push_back("reference");
  return names;
}

Result<std::unique_ptr<MlpBackend>> make_backend(std::string_view name) {
  if (name == "reference") return make_reference();
  for (const Candidate& candidate : candidates()) {
    if (candidate.runs && (name == "auto" || name == candidate.name)) {
      return std::unique_ptr<MlpBackend>(
          std::make_unique<Fp32>(candidate.name, candidate.add_rows));
    }
  }
  std::string message = "backend \"" + std::string(name) + "\" does not run here; these do:";
  for (const auto available : available_backends()) message += " " + std::string(available);
  return Error{message};
}

}  // namespace auspex
