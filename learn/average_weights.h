// SPDX-License-Identifier: Apache-2.0
// AverageWeights: the mean of a network's weights over its last steps. Included by libtorch
// sources.
#pragma once

#include <torch/torch.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace auspex {

// A running mean of the weights over the steps: what one step learned and the next forgot evens
// out. Source: Polyak and Juditsky 1992; the early weights are left behind by a growing window.
class AverageWeights {
 public:
  AverageWeights(const torch::nn::Module& network, double decay) : decay_(decay) {
    for (const torch::Tensor& parameter : network.parameters()) live_.push_back(parameter.data());
    for (const torch::Tensor& buffer : network.buffers()) {
      if (buffer.is_floating_point()) live_.push_back(buffer);
    }
    for (const torch::Tensor& tensor : live_) average_.push_back(tensor.clone());
  }

  void add_step() {
    const double steps = static_cast<double>(++steps_);
    const double decay = std::min(decay_, (1 + steps) / (10 + steps));
    for (size_t i = 0; i < live_.size(); ++i) {
      average_[i].mul_(decay).add_(live_[i], 1 - decay);
    }
  }

  // Puts the average into the network and keeps what was there; a second call undoes it.
  void swap() {
    for (size_t i = 0; i < live_.size(); ++i) {
      const torch::Tensor before = live_[i].clone();
      live_[i].copy_(average_[i]);
      average_[i].copy_(before);
    }
  }

 private:
  std::vector<torch::Tensor> live_;  // share memory with the network
  std::vector<torch::Tensor> average_;
  double decay_;
  uint64_t steps_ = 0;
};

}  // namespace auspex
