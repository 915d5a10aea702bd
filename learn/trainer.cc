// SPDX-License-Identifier: Apache-2.0
#include "learn/trainer.h"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <iterator>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <utility>

#include "learn/average_weights.h"
#include "learn/network.h"
#include "learn/torch_error.h"

namespace auspex {
namespace {

// Source: Lelek et al. 2025, section 2.3.
constexpr double kLearningRate = 1e-3;
constexpr double kWeightDecay = 1e-3;
constexpr uint32_t kPatienceEpochs = 5;
constexpr double kValidationShare = 0.1;

// Source: chosen on the first 70 % of Cedar's submissions alone, split again in the order of time:
// mean accuracy and MAE over three points and three seeds .404 and 4.57 h; without averaging .401
// and 4.58 h; with batches of 256 .401 and 4.68 h; trained again on everything .405 and 4.83 h.
// Id dropout of .05 and .4 and other learning rates (two points, two seeds) were no better.
constexpr double kIdDropout = 0.2;
constexpr double kAverageDecay = 0.998;

// A correct fold differs by float rounding only, about 1e-5 at outputs of about 10.
constexpr double kMaxFoldDifference = 1e-3;

// The largest difference between torch's outputs and those of the folded layers.
double fold_difference(Network& network, const std::vector<ModelContent::Layer>& layers,
                       const Requests& examples) {
  const torch::Tensor expected = network->forward(examples.rows, examples.numbers).contiguous();
  const auto row_inputs = static_cast<size_t>(layers.front().inputs) - kNumberCount;
  double largest = 0;
  for (int64_t job = 0; job < examples.size(); ++job) {
    std::vector<double> x(layers.front().inputs, 0.0);
    const auto* rows = examples.rows.data_ptr<int64_t>() + job * examples.rows.size(1);
    for (int64_t field = 0; field < examples.rows.size(1); ++field) x[rows[field]] += 1;
    std::copy_n(examples.numbers.data_ptr<float>() + job * examples.numbers.size(1), kNumberCount,
                x.begin() + static_cast<std::ptrdiff_t>(row_inputs));
    for (const ModelContent::Layer& layer : layers) {
      std::vector<double> y(layer.bias.begin(), layer.bias.end());
      for (size_t in = 0; in < layer.inputs; ++in) {
        if (x[in] == 0) continue;
        const float* weights = &layer.weights[in * layer.outputs];
        for (size_t out = 0; out < layer.outputs; ++out) y[out] += x[in] * weights[out];
      }
      if (layer.relu)
        std::replace_if(
            y.begin(), y.end(), [](double v) { return v < 0; }, 0.0);
      x = std::move(y);
    }
    const float* outputs = expected.data_ptr<float>() + job * expected.size(1);
    for (size_t out = 0; out < x.size(); ++out) {
      largest = std::max(largest, std::abs(x[out] - outputs[out]));
    }
  }
  return largest;
}

class Training {
 public:
  Training(const Requests& fit, const Requests& validation, const Vocabulary& vocabulary,
           const TrainOptions& options, const std::function<void(const TrainProgress&)>& progress)
      : fit_(fit),
        validation_(validation),
        options_(options),
        progress_(progress),
        network_(vocabulary.row_count(), options.hidden),
        average_(*network_, kAverageDecay),
        optimizer_(network_->parameters(),
                   torch::optim::AdamWOptions(kLearningRate).weight_decay(kWeightDecay)),
        shuffle_(options.seed) {
    const std::vector<uint32_t> unknown = vocabulary.unknown_rows();
    unknown_rows_ =
        torch::tensor(std::vector<int64_t>(unknown.begin(), unknown.end()), torch::kInt64);
    network_->start_at_quantiles(fit_.target);
  }

  Result<TrainedNetwork> run() {
    TrainedNetwork best;
    best.best_validation_loss = std::numeric_limits<double>::infinity();
    uint32_t best_epoch = 0;
    for (uint32_t epoch = 1; epoch <= options_.epochs; ++epoch) {
      const double train_loss = train_epoch(epoch);
      torch::NoGradGuard no_grad;
      network_->eval();
      average_.swap();
      const double validation_loss = validate();
      if (!std::isfinite(train_loss) || !std::isfinite(validation_loss)) {
        return Error{"training: the loss is not finite after epoch " + std::to_string(epoch)};
      }
      const bool improved = validation_loss < best.best_validation_loss;
      if (improved) {
        best_epoch = epoch;
        best.best_validation_loss = validation_loss;
        best.layers = network_->folded();
        constexpr int64_t kCompared = 256;
        best.fold_difference = fold_difference(
            network_, best.layers, validation_.slice(0, std::min(kCompared, validation_.size())));
      }
      average_.swap();
      if (best.fold_difference > kMaxFoldDifference) {
        return Error{"training: the layers to be written differ from the network by " +
                     std::to_string(best.fold_difference)};
      }
      best.epochs = epoch;
      progress_({epoch, static_cast<uint64_t>(fit_.size()), static_cast<uint64_t>(fit_.size()),
                 true, train_loss, validation_loss, improved});
      if (epoch - best_epoch >= kPatienceEpochs) break;
    }
    return best;
  }

 private:
  double train_epoch(uint32_t epoch) {
    network_->train();
    std::vector<int64_t> order(static_cast<size_t>(fit_.size()));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), shuffle_);
    const torch::Tensor shuffled = torch::tensor(order, torch::kInt64);
    double sum = 0;
    int64_t done = 0;
    // Batch norm needs two jobs: a last batch of one is left out.
    while (fit_.size() - done >= 2) {
      const int64_t end = std::min(done + int64_t{options_.batch}, fit_.size());
      const Requests batch = fit_.pick(shuffled.slice(0, done, end));
      optimizer_.zero_grad();
      const torch::Tensor outputs = network_->forward(drop_ids(batch.rows), batch.numbers);
      torch::Tensor loss = network_loss(outputs, batch.target);
      loss.backward();
      optimizer_.step();
      torch::NoGradGuard no_grad;
      average_.add_step();
      sum += loss.item<double>() * static_cast<double>(batch.size());
      done = end;
      progress_({epoch, static_cast<uint64_t>(done), static_cast<uint64_t>(fit_.size()), false, 0,
                 0, false});
    }
    return sum / static_cast<double>(done);
  }

  double validate() {
    constexpr int64_t kBlock = 4096;  // bounds the memory
    double sum = 0;
    for (int64_t begin = 0; begin < validation_.size(); begin += kBlock) {
      const Requests block = validation_.slice(begin, std::min(begin + kBlock, validation_.size()));
      const torch::Tensor outputs = network_->forward(block.rows, block.numbers);
      sum += network_loss(outputs, block.target).item<double>() * static_cast<double>(block.size());
    }
    return sum / static_cast<double>(validation_.size());
  }

  // Hides some ids from the network, so that the "unknown" rows are trained and no single id
  // explains everything.
  torch::Tensor drop_ids(const torch::Tensor& rows) const {
    return torch::where(torch::rand(rows.sizes()) < kIdDropout, unknown_rows_, rows);
  }

  const Requests& fit_;
  const Requests& validation_;
  const TrainOptions& options_;
  const std::function<void(const TrainProgress&)>& progress_;
  Network network_;
  AverageWeights average_;
  torch::optim::AdamW optimizer_;
  std::mt19937_64 shuffle_;
  torch::Tensor unknown_rows_;
};

}  // namespace

Status enough_to_fit(size_t ended, size_t jobs) {
  constexpr size_t kLeast = kMinTrainJobs / 2;  // fewer say nothing about a network of this size
  if (ended >= kLeast) return Done{};
  return Error{"training: only " + std::to_string(ended) + " of " + std::to_string(jobs) +
               " jobs had ended when the last tenth was submitted, " + std::to_string(kLeast) +
               " are needed: give a longer history"};
}

Result<TrainedNetwork> train_network(std::span<const HistoryJob> jobs, const Vocabulary& vocabulary,
                                     const TrainOptions& options,
                                     const std::function<void(const TrainProgress&)>& progress) {
  if (jobs.size() < kMinTrainJobs) {
    return Error{"training: " + std::to_string(jobs.size()) + " usable jobs are too few, " +
                 std::to_string(kMinTrainJobs) + " are needed"};
  }
  // The validation jobs are the last ones in time, and what is fitted had ended before the first
  // of them came: random ones would have twins of the same burst in both parts, and the epoch that
  // learned the bursts by heart would look best.
  const double fitted_share = 1 - kValidationShare;
  const int64_t point_s =
      jobs[static_cast<size_t>(fitted_share * static_cast<double>(jobs.size()))].request.submit_s;
  std::vector<HistoryJob> fit, validation;
  for (const HistoryJob& job : jobs) {
    if (job.request.submit_s >= point_s) validation.push_back(job);
    if (job.request.submit_s < point_s && job.end_s < point_s) fit.push_back(job);
  }
  if (Status enough = enough_to_fit(fit.size(), jobs.size()); !enough) return enough.error();
  try {
    torch::manual_seed(options.seed);
    if (options.threads > 0) torch::set_num_threads(static_cast<int>(options.threads));
    const Requests fit_examples = requests_of(fit, vocabulary);
    const Requests validation_examples = requests_of(validation, vocabulary);
    return Training(fit_examples, validation_examples, vocabulary, options, progress).run();
  } catch (const std::exception& failure) {
    return torch_error("training", failure);
  }
}

}  // namespace auspex
