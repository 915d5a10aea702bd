// SPDX-License-Identifier: Apache-2.0
// Layers in training as the kernels will compute them. Included by libtorch sources.
//
// The network keeps FP32 weights. Forward takes them as kernels/rounding.h rounds them when a model
// is loaded, backward goes past the rounding as if it were not there.
// Source: Bengio, Leonard, Courville 2013 for the straight-through estimator; Zhou et al. 2021 for
// the decay of what 2:4 leaves out (SR-STE).
#pragma once

#include <torch/torch.h>

#include <vector>

#include "shared/model_file.h"

namespace auspex {

// x: [jobs][inputs], of an integer precision what ReLU left -> [jobs][outputs], before ReLU
torch::Tensor next_layer(Precision precision, torch::nn::Linear& layer, const torch::Tensor& x);

// The layer of the one-hot rows and the numbers behind them.
// Shape: picked [jobs][fields] int64, x [jobs][numbers] -> [jobs][outputs], before ReLU
torch::Tensor first_layer(Precision precision, torch::nn::EmbeddingBag& rows,
                          torch::nn::Linear& numbers, const torch::Tensor& picked,
                          const torch::Tensor& x);

// Of the layers of a model. Shape: [layers]
std::vector<Precision> precisions_to_train(const ModelContent& content);

// Between a model's layers and libtorch's. Shapes: a Layer has [inputs][outputs], a Linear
// [outputs][inputs]; a first layer has the one-hot rows before those of the numbers.
std::vector<float> floats_of(const torch::Tensor& tensor);
void fill(const torch::Tensor& like, const std::vector<float>& values);             // as it is
void fill_transposed(const torch::Tensor& like, const std::vector<float>& values);  // Linear's
ModelContent::Layer layer_of(const torch::nn::Linear& layer, bool relu);
ModelContent::Layer layer_of(const torch::nn::EmbeddingBag& rows, const torch::nn::Linear& numbers,
                             bool relu);
void fill(torch::nn::Linear& layer, const ModelContent::Layer& values);
void fill(torch::nn::EmbeddingBag& rows, torch::nn::Linear& numbers,
          const ModelContent::Layer& values);

}  // namespace auspex
