// SPDX-License-Identifier: Apache-2.0
// Network: the runtime network in libtorch, for training only. Included by the libtorch
// sources network.cc, trainer.cc and mlp_tuner.cc, and by nothing else.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <span>
#include <vector>

#include "learn/dataset.h"
#include "learn/vocabulary.h"
#include "shared/model_file.h"

namespace auspex {

// What the paper's network reads of jobs, and what became of them.
struct Requests {
  torch::Tensor rows;     // [jobs][fields] int64
  torch::Tensor numbers;  // [jobs][kNumberCount]
  torch::Tensor target;   // [jobs][1], log of the runtime in seconds

  int64_t size() const { return target.size(0); }
  Requests pick(const torch::Tensor& jobs) const {
    return {rows.index_select(0, jobs), numbers.index_select(0, jobs),
            target.index_select(0, jobs)};
  }
  Requests slice(int64_t begin, int64_t end) const {
    return {rows.slice(0, begin, end), numbers.slice(0, begin, end), target.slice(0, begin, end)};
  }
};
Requests requests_of(std::span<const HistoryJob> jobs, const Vocabulary& vocabulary);

class NetworkImpl : public torch::nn::Module {
 public:
  // rows: of the vocabulary, may be 0. hidden: at least one width.
  NetworkImpl(int64_t rows, const std::vector<uint32_t>& hidden);

  // Shape: rows [jobs][fields] int64, numbers [jobs][kNumberCount] -> [jobs][kOutputCount].
  torch::Tensor forward(const torch::Tensor& rows, const torch::Tensor& numbers);

  // Starts every output at its quantile of all targets: the first epoch need not find the scale.
  void start_at_quantiles(const torch::Tensor& target);

  // The layers for inference: batch norm's running statistics folded into the Linear before it.
  std::vector<ModelContent::Layer> folded() const;

 private:
  torch::nn::EmbeddingBag rows_ = nullptr;
  torch::nn::Linear numbers_ = nullptr;
  std::vector<torch::nn::BatchNorm1d> norms_;
  std::vector<torch::nn::Linear> linears_;  // linears_[i] follows norms_[i]
};
TORCH_MODULE(Network);

// Pinball loss of each quantile of log(runtime), and for the last output the accuracy that it
// misses. Shape: outputs [jobs][kOutputCount], target [jobs][1] -> scalar.
torch::Tensor network_loss(const torch::Tensor& outputs, const torch::Tensor& target);

}  // namespace auspex
