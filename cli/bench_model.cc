// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_model.h"

#include <cmath>
#include <random>

#include "shared/prediction.h"

namespace auspex::cli {
namespace {

constexpr uint32_t kSeed = 5;
// With two rows for what is missing and unknown: the paper's 19,809 inputs, roughly.
constexpr uint32_t kValues = 1414;

// deviation: of the weights, so that activations stay near one.
ModelContent::Layer random_layer(uint32_t inputs, uint32_t outputs, bool relu, float deviation,
                                 std::mt19937& random) {
  std::normal_distribution<float> normal;
  ModelContent::Layer layer{inputs, outputs, {}, {}, relu};
  layer.weights.resize(size_t{inputs} * outputs);
  layer.bias.resize(outputs);
  for (float& weight : layer.weights) weight = normal(random) * deviation;
  for (float& bias : layer.bias) bias = normal(random) * 0.1F;
  return layer;
}

double bytes_per_weight(Precision precision, bool packed) {
  switch (precision) {
    case Precision::kFp32:
      return 4;
    case Precision::kBf16:
      return 2;
    case Precision::kInt8:
      return 1;
    case Precision::kInt4:
      return packed ? 0.5 : 1;
    case Precision::kInt8Pairs:  // half of the weights, and half a byte for where each is
      return packed ? 0.75 : 1;
  }
  return 0;
}

}  // namespace

Result<std::shared_ptr<const ModelFile>> random_model(const std::vector<uint32_t>& hidden) {
  std::mt19937 random(kSeed);
  ModelContent content;
  content.trained_on = "random";
  uint32_t row = 0;
  for (ModelContent::Field& field : content.fields) {
    field.missing_row = static_cast<int32_t>(row++);
    field.unknown_row = static_cast<int32_t>(row++);
    for (uint32_t value = 0; value < kValues; ++value, ++row) {
      field.rows.emplace_back(uint64_t{row} + 1, row);
    }
  }
  uint32_t inputs = row + static_cast<uint32_t>(kNumberCount);
  float active = kCategoryCount + kNumberCount;  // inputs that are not zero
  for (const uint32_t width : hidden) {
    content.layers.push_back(random_layer(inputs, width, true, 1 / std::sqrt(active), random));
    inputs = width;
    active = static_cast<float>(width) / 2;
  }
  content.layers.push_back(
      random_layer(inputs, kOutputCount, false, 1 / std::sqrt(active), random));
  return ModelFile::of(content);
}

std::string hidden_text(const std::vector<uint32_t>& hidden) {
  std::string text;
  for (const uint32_t width : hidden) text += (text.empty() ? "" : "-") + std::to_string(width);
  return text;
}

std::vector<uint32_t> hidden_of(const ModelFile& model) {
  const std::vector<uint32_t>& sizes = model.summary().layer_sizes;
  return {sizes.begin() + 1, sizes.end() - 1};
}

uint64_t bytes_of(const ModelFile& model, const std::vector<Precision>& precisions, bool packed,
                  bool skip, bool dense) {
  const LayerView& first = model.layers().front();
  const double number_rows = model.dense_inputs();
  const double number_bytes = precisions[0] == Precision::kFp32 ? 4 : 2;  // of a weight
  const double rows = dense ? first.inputs - number_rows : kCategoryCount;
  double bytes =
      first.outputs * (rows * bytes_per_weight(precisions[0], packed) + number_rows * number_bytes);
  for (size_t i = 1; i < model.layers().size(); ++i) {
    const LayerView& layer = model.layers()[i];
    const bool half = skip && !(packed && precisions[i] == Precision::kInt8Pairs);
    bytes += double{1} * layer.inputs * layer.outputs * bytes_per_weight(precisions[i], packed) *
             (half ? 0.5 : 1);
  }
  return static_cast<uint64_t>(bytes);
}

}  // namespace auspex::cli
