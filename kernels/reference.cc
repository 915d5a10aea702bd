// SPDX-License-Identifier: Apache-2.0
// The truth for every kernel test: double precision, in the order of the formula.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/parts.h"

namespace auspex {
namespace {

class Reference final : public Network {
 public:
  explicit Reference(std::shared_ptr<const ModelFile> model) : model_(std::move(model)) {}
  std::string_view backend() const override { return "reference"; }

  void predict(std::span<const EncodedJob> jobs, float* outputs) const override {
    for (const EncodedJob& job : jobs) {
      const std::vector<double> y = next_layer(model_->layers().back(), context_of(job, {}));
      for (const double value : y) *outputs++ = static_cast<float>(value);
    }
  }

  void mix(const PointerInput& input, Mixture& out) const override {
    const HistoryView& view = *input.view;
    const PointerView& p = *model_->pointer();
    const std::vector<double> context = context_of(*input.job, view.number);
    const std::vector<double> bins = next_layer(model_->layers().back(), context);
    std::vector<double> logits;
    out.items = 0;
    out.log_limit_s = view.log_limit_s;
    for (size_t item = 0; item < kItems; ++item) {
      if (std::isnan(view.log_s[item])) continue;
      const std::array<double, kItemHeads> heads = heads_of(p, view, item, context);
      out.log_s[out.items] = view.log_s[item];
      out.scale[out.items] =
          static_cast<float>(std::exp(std::clamp<double>(heads[1], kLeastLogScale, kMostLogScale)));
      logits.push_back(heads[0]);
      ++out.items;
    }
    for (size_t bin = 0; bin < kBins; ++bin) {
      logits.push_back(bin_open(bin, view.log_limit_s) ? bins[bin]
                                                       : -std::numeric_limits<double>::infinity());
    }
    const double most = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (double& logit : logits) sum += logit = std::exp(logit - most);
    for (size_t i = 0; i < logits.size(); ++i) {
      (i < out.items ? out.weight[i] : out.bin_weight[i - out.items]) =
          static_cast<float>(logits[i] / sum);
    }
  }

  MixturePoints points(const Mixture& mixture) const override { return reference_points(mixture); }

 private:
  // Shape: -> [inputs of the last layer]
  std::vector<double> context_of(const EncodedJob& job, std::span<const float> history) const {
    const auto layers = model_->layers();
    std::vector<double> x = first_layer(layers.front(), job, history);
    for (size_t i = 1; i + 1 < layers.size(); ++i) x = next_layer(layers[i], x);
    return x;
  }

  static std::array<double, kItemHeads> heads_of(const PointerView& p, const HistoryView& view,
                                                 size_t item, const std::vector<double>& context) {
    const float* weights = item < kPastItems ? p.past_weights : p.candidate_weights;
    std::array<double, kItemHeads> heads{};
    for (size_t head = 0; head < kItemHeads; ++head) {
      heads[head] = p.head_bias[item * kItemHeads + head];
    }
    for (uint32_t j = 0; j < p.width; ++j) {
      double h = p.slot_bias[item * p.width + j];
      for (size_t i = 0; i < kItemInputs; ++i) h += view.item[item][i] * weights[i * p.width + j];
      for (size_t i = 0; i < context.size(); ++i) {
        h += context[i] * p.context_weights[i * p.width + j];
      }
      for (size_t head = 0; head < kItemHeads; ++head) {
        heads[head] += std::max(h, 0.0) * p.head_weights[head * p.width + j];
      }
    }
    return heads;
  }

  // Shape: one-hot [inputs] -> [outputs]; numbers, then the history's, are the last inputs.
  static std::vector<double> first_layer(const LayerView& layer, const EncodedJob& job,
                                         std::span<const float> history) {
    std::vector<double> y(layer.bias, layer.bias + layer.outputs);
    const auto add_row = [&](uint32_t row, double factor) {
      const float* weights = layer.weights + size_t{row} * layer.outputs;
      for (uint32_t j = 0; j < layer.outputs; ++j) y[j] += factor * weights[j];
    };
    for (uint32_t i = 0; i < job.row_count; ++i) add_row(job.rows[i], 1);
    auto row = layer.inputs - static_cast<uint32_t>(kNumberCount + history.size());
    for (const float number : job.numbers) add_row(row++, number);
    for (const float number : history) add_row(row++, number);
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

  std::shared_ptr<const ModelFile> model_;
};

}  // namespace

std::shared_ptr<const Network> reference_network(std::shared_ptr<const ModelFile> model) {
  return std::make_shared<Reference>(std::move(model));
}

}  // namespace auspex
