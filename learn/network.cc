// SPDX-License-Identifier: Apache-2.0
#include "learn/network.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "learn/rounded_layer.h"
#include "shared/features.h"
#include "shared/prediction.h"

namespace auspex {
namespace {

// A job's first layer is a sum of about ten rows; batch norm follows, so only the order of
// magnitude matters. Source: our choice.
constexpr double kRowSd = 0.05;

}  // namespace

Requests requests_of(std::span<const HistoryJob> jobs, const Vocabulary& vocabulary) {
  const auto count = static_cast<int64_t>(jobs.size());
  const auto fields = static_cast<int64_t>(vocabulary.unknown_rows().size());
  Requests examples{torch::empty({count, fields}, torch::kInt64),
                    torch::empty({count, static_cast<int64_t>(kNumberCount)}),
                    torch::empty({count, 1})};
  auto* rows = examples.rows.data_ptr<int64_t>();
  auto* numbers = examples.numbers.data_ptr<float>();
  auto* target = examples.target.data_ptr<float>();
  for (const HistoryJob& job : jobs) {
    const EncodedJob encoded = vocabulary.encode(job.request.features);
    rows = std::copy_n(encoded.rows.begin(), encoded.row_count, rows);
    numbers = std::copy(encoded.numbers.begin(), encoded.numbers.end(), numbers);
    *target++ = static_cast<float>(std::log(std::max(job.runtime_s, 1.0)));
  }
  return examples;
}

NetworkImpl::NetworkImpl(int64_t rows, const std::vector<uint32_t>& hidden) {
  int64_t width = hidden.front();
  rows_ = register_module(
      "rows",
      torch::nn::EmbeddingBag(torch::nn::EmbeddingBagOptions(rows, width).mode(torch::kSum)));
  torch::nn::init::normal_(rows_->weight, 0, kRowSd);
  numbers_ = register_module("numbers", torch::nn::Linear(kNumberCount, width));
  for (size_t block = 0; block < hidden.size(); ++block) {
    const bool last = block + 1 == hidden.size();
    const auto next = last ? static_cast<int64_t>(kOutputCount) : int64_t{hidden[block + 1]};
    const std::string number = std::to_string(block);
    norms_.push_back(register_module("norm" + number, torch::nn::BatchNorm1d(width)));
    linears_.push_back(register_module("linear" + number, torch::nn::Linear(width, next)));
    width = next;
  }
}

torch::Tensor NetworkImpl::forward(const torch::Tensor& rows, const torch::Tensor& numbers) {
  torch::Tensor x = numbers_->forward(numbers);
  if (rows.size(1) > 0) x = x + rows_->forward(rows);
  for (size_t block = 0; block < norms_.size(); ++block) {
    x = linears_[block]->forward(torch::relu(norms_[block]->forward(x)));
  }
  return x;
}

void NetworkImpl::start_at_quantiles(const torch::Tensor& target) {
  torch::NoGradGuard no_grad;
  const torch::Tensor sorted = std::get<0>(target.flatten().sort());
  for (size_t output = 0; output < kOutputCount; ++output) {
    const double level = output < kQuantileCount ? kQuantileLevels[output] : 0.5;
    const auto index = static_cast<int64_t>(level * static_cast<double>(sorted.size(0)));
    linears_.back()->bias[static_cast<int64_t>(output)] = sorted[index];
  }
}

std::vector<ModelContent::Layer> NetworkImpl::folded() const {
  torch::NoGradGuard no_grad;
  std::vector<ModelContent::Layer> layers;
  for (size_t layer = 0; layer <= norms_.size(); ++layer) {
    // Shape: weights [inputs][outputs]; the first layer's inputs are the rows, then the numbers.
    torch::Tensor weights = layer == 0 ? torch::cat({rows_->weight, numbers_->weight.t()})
                                       : linears_[layer - 1]->weight.t();
    torch::Tensor bias = layer == 0 ? numbers_->bias : linears_[layer - 1]->bias;
    const bool last = layer == norms_.size();
    if (!last) {
      const torch::nn::BatchNorm1d& norm = norms_[layer];
      const torch::Tensor scale = norm->weight / (norm->running_var + norm->options.eps()).sqrt();
      weights = weights * scale;
      bias = (bias - norm->running_mean) * scale + norm->bias;
    }
    layers.push_back({static_cast<uint32_t>(weights.size(0)),
                      static_cast<uint32_t>(weights.size(1)), floats_of(weights), floats_of(bias),
                      !last});
  }
  return layers;
}

// Source: Koenker and Bassett 1978 for the pinball loss. The accuracy of a prediction, min/max of
// it and the runtime, is exp(-|difference of the logs|).
torch::Tensor network_loss(const torch::Tensor& outputs, const torch::Tensor& target) {
  constexpr auto kLevels = static_cast<int64_t>(kQuantileCount);
  // Far from the target 1 - exp(-|d|) is flat; this much of |d| keeps a way back.
  constexpr double kSlope = 0.1;
  static const torch::Tensor levels = torch::tensor(
      std::vector<float>(kQuantileLevels.begin(), kQuantileLevels.end()), torch::kFloat32);
  const torch::Tensor short_by = target - outputs.narrow(1, 0, kLevels);
  const torch::Tensor pinball = torch::maximum(levels * short_by, (levels - 1) * short_by);
  const torch::Tensor distance = (target - outputs.narrow(1, kLevels, 1)).abs();
  const torch::Tensor missed = 1 - torch::exp(-distance) + kSlope * distance;
  return pinball.mean() + missed.mean();
}

}  // namespace auspex
