// SPDX-License-Identifier: Apache-2.0
#include "kernels/backends.h"

#include <algorithm>
#include <string>

namespace auspex {
namespace {

// One sample at a time. The first layer is a sum of about 20 rows; later layers sum only the rows
// whose activation is not zero, which ReLU makes about half of them.
class Fp32 final : public NetworkBackend {
 public:
  Fp32(std::string_view name, const Fp32Functions& functions)
      : name_(name), functions_(functions) {}
  std::string_view name() const override { return name_; }

  void predict(const ModelFile& model, std::span<const EncodedJob> jobs,
               float* outputs) const override {
    Scratch& scratch = scratch_for(model);
    for (const EncodedJob& job : jobs) {
      run_layers(model, job, {}, scratch);
      outputs = std::copy_n(scratch.y, model.layers().back().outputs, outputs);
    }
  }

  void mix(const ModelFile& model, const PointerInput& input, Mixture& out) const override {
    Scratch& scratch = scratch_for(model);
    run_layers(model, *input.job, input.view->number, scratch);
    mix_items(model, *input.view, scratch.x, scratch.y, functions_, out);
  }

  MixturePoints points(const Mixture& mixture) const override {
    return fast_points(mixture, functions_);
  }

 private:
  struct Scratch {
    std::vector<float> values, factors;
    std::vector<const float*> rows;
    float* x = nullptr;  // input of the last layer
    float* y = nullptr;  // its output
  };

  static Scratch& scratch_for(const ModelFile& model) {
    thread_local Scratch scratch;
    const size_t width = std::max<size_t>(model.max_width(), kCategoryCount + kHistoryNumbers);
    if (scratch.factors.size() < width) {
      scratch.values.resize(2 * width);
      scratch.factors.resize(width);
      scratch.rows.resize(width);
    }
    scratch.x = scratch.values.data();
    scratch.y = scratch.values.data() + scratch.factors.size();
    return scratch;
  }

  void run_layers(const ModelFile& model, const EncodedJob& job, std::span<const float> history,
                  Scratch& scratch) const {
    const auto layers = model.layers();
    first_layer(layers.front(), job, history, scratch);
    for (size_t i = 1; i < layers.size(); ++i) {
      std::swap(scratch.x, scratch.y);
      next_layer(layers[i], scratch);
    }
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
    activate(layer, y);
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
    activate(layer, scratch.y);
  }

  static void activate(const LayerView& layer, float* y) {
    if (!layer.relu) return;
    for (uint32_t j = 0; j < layer.outputs; ++j) y[j] = y[j] > 0 ? y[j] : 0;
  }

  std::string_view name_;
  Fp32Functions functions_;
};

struct Variant {
  std::string_view name;
  Fp32Functions functions;
  bool runs;
};

// Fastest first.
std::vector<Variant> variants() {
  return {{"fp32-avx512", kFp32Avx512,
           __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")},
          {"fp32-avx2", kFp32Avx2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")},
          {"fp32-portable", kFp32Portable, true}};
}

}  // namespace

std::vector<std::string_view> available_backends() {
  std::vector<std::string_view> names;
  for (const Variant& variant : variants()) {
    if (variant.runs) names.push_back(variant.name);
  }
  names.push_back("reference");
  return names;
}

Result<std::unique_ptr<NetworkBackend>> make_backend(std::string_view name) {
  if (name == "reference") return make_reference();
  for (const Variant& variant : variants()) {
    if (variant.runs && (name == "auto" || name == variant.name)) {
      return std::unique_ptr<NetworkBackend>(
          std::make_unique<Fp32>(variant.name, variant.functions));
    }
  }
  std::string message = "backend \"" + std::string(name) + "\" does not run here; these do:";
  for (const auto available : available_backends()) message += " " + std::string(available);
  return Error{message};
}

}  // namespace auspex
