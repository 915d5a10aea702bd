// SPDX-License-Identifier: Apache-2.0
#include "learn/pointer_network.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "learn/rounded_layer.h"
#include "shared/mixture.h"

namespace auspex {
namespace {

constexpr auto kNumbers = static_cast<int64_t>(kNumberCount + kHistoryNumbers);
constexpr auto kItemCount = static_cast<int64_t>(kItems);
constexpr auto kPastCount = static_cast<int64_t>(kPastItems);
constexpr auto kInputs = static_cast<int64_t>(kItemInputs);
constexpr auto kHeads = static_cast<int64_t>(kItemHeads);
constexpr auto kBinCount = static_cast<int64_t>(kBins);

// Against the log likelihood. Source: our choice, on inner splits as in pointer_trainer.cc; a term
// for the expected accuracy itself made accuracy, error and coverage worse.
constexpr double kCrpsWeight = 1;

// Of the trunk's first layer, in training only. Source: see pointer_trainer.cc.
constexpr double kDropout = 0.2;

torch::nn::Linear without_bias(int64_t inputs, int64_t outputs) {
  return torch::nn::Linear(torch::nn::LinearOptions(inputs, outputs).bias(false));
}

// Lower edges of the bins. Shape: [kBins]
const torch::Tensor& bin_edges() {
  static const torch::Tensor edges = torch::arange(kBinCount) * kBinWidth;
  return edges;
}

}  // namespace

PointerNetworkImpl::PointerNetworkImpl(int64_t rows, int64_t first, int64_t second,
                                       int64_t item_width) {
  // Of the size that the first layer's sum needs to start near one. Source: our choice.
  constexpr double kRowSd = 0.05, kHeadShare = 0.3, kFirstLogScale = -2, kFirstBinLogit = -3;
  rows_ = register_module(
      "rows",
      torch::nn::EmbeddingBag(torch::nn::EmbeddingBagOptions(rows, first).mode(torch::kSum)));
  numbers_ = register_module("numbers", torch::nn::Linear(kNumbers, first));
  second_ = register_module("second", torch::nn::Linear(first, second));
  bins_ = register_module("bins", torch::nn::Linear(second, kBinCount));
  context_ = register_module("context", without_bias(second, item_width));
  past_ = register_module("past", without_bias(kInputs, item_width));
  candidate_ = register_module("candidate", without_bias(kInputs, item_width));
  heads_ = register_module("heads", without_bias(item_width, kHeads));
  slot_ = register_parameter("slot", torch::zeros({kItemCount, item_width}));
  head_bias_ = register_parameter("head_bias", torch::zeros({kItemCount, kHeads}));
  torch::NoGradGuard no_grad;
  torch::nn::init::normal_(rows_->weight, 0, kRowSd);
  heads_->weight.mul_(kHeadShare);
  head_bias_.select(1, 1).fill_(kFirstLogScale);
  bins_->bias.fill_(kFirstBinLogit);
}

PointerMixture PointerNetworkImpl::forward(const PointerBatch& batch) {
  torch::Tensor x = first_layer(precisions_[0], rows_, numbers_, batch.rows, batch.numbers);
  x = torch::dropout(torch::relu(x), kDropout, is_training());
  x = torch::relu(next_layer(precisions_[1], second_, x));

  const torch::Tensor past = past_->forward(batch.items.slice(1, 0, kPastCount));
  const torch::Tensor candidates = candidate_->forward(batch.items.slice(1, kPastCount));
  const torch::Tensor hidden =
      torch::relu(torch::cat({past, candidates}, 1) + slot_ + context_->forward(x).unsqueeze(1));
  const torch::Tensor heads = heads_->forward(hidden) + head_bias_;
  const torch::Tensor absent = torch::isnan(batch.log_s);
  // Not infinity: its gradient would be no number.
  constexpr double kNever = -1e9;
  const torch::Tensor logits = heads.select(2, 0).masked_fill(absent, kNever);
  const torch::Tensor closed = bin_edges().unsqueeze(0) > batch.log_limit.unsqueeze(1);
  const torch::Tensor bins = next_layer(precisions_[2], bins_, x).masked_fill(closed, kNever);
  return {torch::log_softmax(torch::cat({logits, bins}, 1), 1), batch.log_s.masked_fill(absent, 0),
          torch::exp(heads.select(2, 1).clamp(kLeastLogScale, kMostLogScale))};
}

torch::Tensor PointerMixture::cdf(const torch::Tensor& x) const {
  const torch::Tensor weight = log_weight.exp().unsqueeze(1);
  const torch::Tensor distance = (x.unsqueeze(2) - place.unsqueeze(1)) / scale.unsqueeze(1);
  const torch::Tensor tail = 0.5 * torch::exp(-distance.abs());
  const torch::Tensor items = torch::where(distance > 0, 1 - tail, tail);
  const torch::Tensor bins = ((x.unsqueeze(2) - bin_edges()) / kBinWidth).clamp(0, 1);
  return (weight.slice(2, 0, kItemCount) * items).sum(2) +
         (weight.slice(2, kItemCount) * bins).sum(2);
}

void PointerNetworkImpl::describe(ModelContent& content) const {
  torch::NoGradGuard no_grad;
  content.layers = {layer_of(rows_, numbers_, true), layer_of(second_, true),
                    layer_of(bins_, false)};
  content.pointer = ModelContent::Pointer{static_cast<uint32_t>(slot_.size(1)),
                                          floats_of(past_->weight.t()),
                                          floats_of(candidate_->weight.t()),
                                          floats_of(slot_),
                                          floats_of(context_->weight.t()),
                                          floats_of(heads_->weight),
                                          floats_of(head_bias_)};
}

void PointerNetworkImpl::take_over(const ModelContent& content) {
  torch::NoGradGuard no_grad;
  precisions_ = precisions_to_train(content);
  fill(rows_, numbers_, content.layers[0]);
  fill(second_, content.layers[1]);
  fill(bins_, content.layers[2]);
  const ModelContent::Pointer& pointer = *content.pointer;
  fill_transposed(past_->weight, pointer.past_weights);
  fill_transposed(candidate_->weight, pointer.candidate_weights);
  fill(slot_, pointer.slot_bias);
  fill_transposed(context_->weight, pointer.context_weights);
  fill(heads_->weight, pointer.head_weights);
  fill(head_bias_, pointer.head_bias);
}

torch::Tensor pointer_loss(const PointerMixture& mixture, const PointerBatch& batch) {
  // Where the CRPS is looked at: every half of a unit of log seconds. Source: our choice.
  static const torch::Tensor grid = torch::arange(0.25, 15.3, 0.5);
  constexpr double kGridStep = 0.5, kLeastSurvival = 1e-4;
  // One job may not say more than this, in either direction: sharp kernels are unbounded.
  constexpr double kLeastLogDensity = -12, kMostLogDensity = 3;
  // The limit itself is within reach of the kernels around it.
  constexpr double kLogBeforeLimit = 0.03;

  const torch::Tensor y = batch.log_runtime.unsqueeze(1);
  const torch::Tensor distance = (y - mixture.place).abs();
  const torch::Tensor item_density = mixture.log_weight.slice(1, 0, kItemCount) -
                                     distance / mixture.scale - torch::log(2 * mixture.scale);
  const torch::Tensor bin = (y / kBinWidth).to(torch::kInt64).clamp(0, kBinCount - 1);
  const torch::Tensor bin_density =
      mixture.log_weight.slice(1, kItemCount).gather(1, bin) - std::log(kBinWidth);
  torch::Tensor log_density = torch::logsumexp(torch::cat({item_density, bin_density}, 1), 1);
  const torch::Tensor survival =
      1 - mixture.cdf((batch.log_limit - kLogBeforeLimit).unsqueeze(1)).squeeze(1);
  log_density =
      torch::where(batch.censored, torch::log(survival.clamp_min(kLeastSurvival)), log_density);

  const torch::Tensor places = grid.unsqueeze(0).expand({y.size(0), -1});
  const torch::Tensor miss = mixture.cdf(places) - (places >= y).to(torch::kFloat32);
  const torch::Tensor crps = (miss * miss).sum(1) * kGridStep;

  return (kCrpsWeight * crps - log_density.clamp(kLeastLogDensity, kMostLogDensity)).mean();
}

torch::Tensor imitation_loss(const PointerMixture& said, const PointerMixture& wanted) {
  const torch::Tensor weight = wanted.log_weight.exp();
  const torch::Tensor ratio = wanted.scale / said.scale;
  const torch::Tensor kernels = ratio - ratio.log() - 1;  // of two Laplace's around one place
  return ((weight * (wanted.log_weight - said.log_weight)).sum(1) +
          (weight.slice(1, 0, kItemCount) * kernels).sum(1))
      .mean();
}

}  // namespace auspex
