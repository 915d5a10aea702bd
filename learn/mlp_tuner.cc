// SPDX-License-Identifier: Apache-2.0
#include "learn/mlp_tuner.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <numeric>
#include <random>
#include <string>
#include <utility>

#include "learn/average_weights.h"
#include "learn/learning_rate.h"
#include "learn/network.h"
#include "learn/rounded_layer.h"
#include "learn/torch_error.h"

namespace auspex {
namespace {

// Source: as in trainer.cc.
constexpr double kWeightDecay = 1e-3, kIdDropout = 0.2, kAverageDecay = 0.998;
constexpr double kMaxGradient = 5;  // batch norm, which kept them small, is gone

class FoldedNetworkImpl : public torch::nn::Module {
 public:
  explicit FoldedNetworkImpl(const ModelContent& content)
      : precisions_(precisions_to_train(content)) {
    torch::NoGradGuard no_grad;
    const ModelContent::Layer& first = content.layers.front();
    constexpr auto kNumbers = static_cast<int64_t>(kNumberCount);
    rows_ =
        register_module("rows", torch::nn::EmbeddingBag(torch::nn::EmbeddingBagOptions(
                                                            first.inputs - kNumbers, first.outputs)
                                                            .mode(torch::kSum)));
    numbers_ = register_module("numbers", torch::nn::Linear(kNumbers, first.outputs));
    fill(rows_, numbers_, first);
    relu_.push_back(first.relu);
    for (size_t i = 1; i < content.layers.size(); ++i) {
      const ModelContent::Layer& layer = content.layers[i];
      linears_.push_back(register_module("linear" + std::to_string(i),
                                         torch::nn::Linear(layer.inputs, layer.outputs)));
      fill(linears_.back(), layer);
      relu_.push_back(layer.relu);
    }
  }

  // Shape: as NetworkImpl's
  torch::Tensor forward(const torch::Tensor& rows, const torch::Tensor& numbers) {
    torch::Tensor x = first_layer(precisions_[0], rows_, numbers_, rows, numbers);
    if (relu_[0]) x = torch::relu(x);
    for (size_t i = 0; i < linears_.size(); ++i) {
      x = next_layer(precisions_[i + 1], linears_[i], x);
      if (relu_[i + 1]) x = torch::relu(x);
    }
    return x;
  }

  std::vector<ModelContent::Layer> layers() const {
    torch::NoGradGuard no_grad;
    std::vector<ModelContent::Layer> layers = {layer_of(rows_, numbers_, relu_[0])};
    for (size_t i = 0; i < linears_.size(); ++i) {
      layers.push_back(layer_of(linears_[i], relu_[i + 1]));
    }
    return layers;
  }

 private:
  torch::nn::EmbeddingBag rows_ = nullptr;
  torch::nn::Linear numbers_ = nullptr;
  std::vector<torch::nn::Linear> linears_;
  std::vector<bool> relu_;
  std::vector<Precision> precisions_;  // Shape: [layers]
};
TORCH_MODULE(FoldedNetwork);

}  // namespace

class MlpTuner::Work {
 public:
  Work(const Vocabulary& vocabulary, const ModelContent& content, const MlpTuneOptions& options)
      : options_(options),
        vocabulary_(vocabulary),
        network_(content),
        average_(*network_, kAverageDecay),
        optimizer_(network_->parameters(),
                   torch::optim::AdamWOptions(options.learning_rate).weight_decay(kWeightDecay)) {
    torch::set_num_threads(static_cast<int>(std::max(options.threads, 1U)));
    const std::vector<uint32_t> unknown = vocabulary.unknown_rows();
    unknown_rows_ =
        torch::tensor(std::vector<int64_t>(unknown.begin(), unknown.end()), torch::kInt64);
  }

  Status imitate(std::span<const HistoryJob> jobs, const std::function<void(uint64_t)>& progress) {
    ModelContent content;
    content.layers = network_->layers();
    FoldedNetwork exact(content);
    torch::manual_seed(options_.seed);
    std::mt19937_64 random(options_.seed);
    const Requests all = requests_of(jobs, vocabulary_);
    std::vector<int64_t> order(jobs.size());
    std::iota(order.begin(), order.end(), 0);
    const size_t batches = (order.size() + options_.batch - 1) / options_.batch;
    const auto steps = static_cast<int64_t>(options_.passes * batches);
    int64_t step = 0;
    for (uint32_t pass = 0; pass < options_.passes; ++pass) {
      std::shuffle(order.begin(), order.end(), random);
      const torch::Tensor shuffled = torch::tensor(order, torch::kInt64);
      for (int64_t begin = 0; begin < all.size(); begin += options_.batch) {
        const int64_t end = std::min(begin + int64_t{options_.batch}, all.size());
        set_rate(optimizer_, cosine_rate(options_.learning_rate, step++, steps));
        const double loss = learn(all.pick(shuffled.slice(0, begin, end)), exact);
        if (!std::isfinite(loss)) {
          return Error{"tuning: the loss is not finite in pass " + std::to_string(pass + 1)};
        }
        progress(static_cast<uint64_t>(pass * all.size() + end));
      }
    }
    return Done{};
  }

  torch::Tensor outputs(const Requests& requests) {
    torch::NoGradGuard no_grad;
    average_.swap();
    const torch::Tensor outputs = network_->forward(requests.rows, requests.numbers);
    average_.swap();
    return outputs;
  }
  Requests read(std::span<const HistoryJob> jobs) const { return requests_of(jobs, vocabulary_); }

  void describe(ModelContent& content) {
    average_.swap();
    content.layers = network_->layers();
    average_.swap();
  }

 private:
  double learn(const Requests& batch, FoldedNetwork& exact) {
    // As in training: "unknown" rows are learned, and no id explains everything.
    const torch::Tensor rows =
        torch::where(torch::rand(batch.rows.sizes()) < kIdDropout, unknown_rows_, batch.rows);
    const torch::Tensor wanted = exact->forward(rows, batch.numbers).detach();
    const torch::Tensor loss = torch::mse_loss(network_->forward(rows, batch.numbers), wanted);
    optimizer_.zero_grad();
    loss.backward();
    torch::nn::utils::clip_grad_norm_(network_->parameters(), kMaxGradient);
    optimizer_.step();
    average_.add_step();
    return loss.item<double>();
  }

  MlpTuneOptions options_;
  const Vocabulary& vocabulary_;
  FoldedNetwork network_;
  AverageWeights average_;
  torch::optim::AdamW optimizer_;
  torch::Tensor unknown_rows_;
};

MlpTuner::MlpTuner(std::unique_ptr<Work> work) : work_(std::move(work)) {}
MlpTuner::~MlpTuner() = default;
MlpTuner::MlpTuner(MlpTuner&&) noexcept = default;
MlpTuner& MlpTuner::operator=(MlpTuner&&) noexcept = default;

Result<MlpTuner> MlpTuner::resume(const Vocabulary& vocabulary, const ModelContent& content,
                                  const MlpTuneOptions& options) {
  if (content.pointer) return Error{"tuning: the model reads the history, the paper's does not"};
  const uint32_t inputs = vocabulary.row_count() + static_cast<uint32_t>(kNumberCount);
  if (content.layers.front().inputs != inputs) {
    return Error{"tuning: the model's first layer has " +
                 std::to_string(content.layers.front().inputs) + " inputs, its vocabulary " +
                 std::to_string(inputs)};
  }
  try {
    return MlpTuner(std::make_unique<Work>(vocabulary, content, options));
  } catch (const std::exception& failure) {
    return torch_error("tuning", failure);
  }
}

// libtorch has no other way to report than to throw.
Status MlpTuner::imitate(std::span<const HistoryJob> jobs,
                         const std::function<void(uint64_t)>& progress) {
  try {
    return work_->imitate(jobs, progress);
  } catch (const std::exception& failure) {
    return torch_error("tuning", failure);
  }
}

Result<std::vector<float>> MlpTuner::predict(std::span<const HistoryJob> jobs) const {
  try {
    return floats_of(work_->outputs(work_->read(jobs)));
  } catch (const std::exception& failure) {
    return torch_error("tuning", failure);
  }
}

void MlpTuner::describe(ModelContent& content) const {
  work_->describe(content);
}

}  // namespace auspex
