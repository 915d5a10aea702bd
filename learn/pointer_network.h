// SPDX-License-Identifier: Apache-2.0
// PointerNetwork: the pointer mixture in libtorch, for training only. Included by pointer_*.cc.
//
// A trunk over one-hot rows and numbers conditions a small network, shared by all items, that gives
// each past runtime and candidate a weight and a Laplace kernel; the trunk gives log bins theirs.
// Source: Vinyals, Fortunato, Jaitly 2015 for pointing at inputs; Bishop 1994 for mixture
// densities.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "shared/model_file.h"

namespace auspex {

// Shapes: [jobs][...].
struct PointerBatch {
  torch::Tensor rows;         // [fields] int64
  torch::Tensor numbers;      // [kNumberCount + kHistoryNumbers]
  torch::Tensor log_s;        // [kItems], NaN: no such item
  torch::Tensor items;        // [kItems][kItemInputs]
  torch::Tensor log_limit;    // []
  torch::Tensor log_runtime;  // []
  torch::Tensor censored;     // [] bool
};

// Shapes: [jobs][...].
struct PointerMixture {
  torch::Tensor log_weight;  // [kItems + kBins]
  torch::Tensor place;       // [kItems], log seconds; 0 where there is no item
  torch::Tensor scale;       // [kItems]

  // Shape: x [jobs][places] -> [jobs][places]
  torch::Tensor cdf(const torch::Tensor& x) const;
};

class PointerNetworkImpl : public torch::nn::Module {
 public:
  PointerNetworkImpl(int64_t rows, int64_t first, int64_t second, int64_t item_width);

  PointerMixture forward(const PointerBatch& batch);

  void describe(ModelContent& content) const;  // fills layers and pointer
  // The reverse, and its precisions: forward() rounds as they say. Shapes must fit.
  void take_over(const ModelContent& content);

 private:
  torch::nn::EmbeddingBag rows_ = nullptr;
  torch::nn::Linear numbers_ = nullptr, second_ = nullptr, bins_ = nullptr, context_ = nullptr,
                    past_ = nullptr, candidate_ = nullptr, heads_ = nullptr;
  torch::Tensor slot_, head_bias_;
  std::vector<Precision> precisions_ = precisions_of(Precision::kFp32, 3);
};
TORCH_MODULE(PointerNetwork);

// Mean over the jobs. Negative log likelihood (survival at the limit for censored jobs), the
// continuous ranked probability score.
torch::Tensor pointer_loss(const PointerMixture& mixture, const PointerBatch& batch);

// Mean over the jobs. At least the Kullback-Leibler divergence of what is said from what should be,
// whose gradient is not looked for: that of each weight and of each kernel.
torch::Tensor imitation_loss(const PointerMixture& said, const PointerMixture& wanted);

}  // namespace auspex
