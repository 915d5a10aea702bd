// SPDX-License-Identifier: Apache-2.0
// Network: the runtime network in libtorch, for training only. Included by the two libtorch
// sources, network.cc and trainer.cc, and by nothing else.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "shared/model_file.h"

namespace auspex {

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
