// SPDX-License-Identifier: Apache-2.0
#include "learn/rounded_layer.h"

#include "kernels/int8_functions.h"
#include "kernels/rounding.h"

namespace auspex {
namespace {

// Forward gives the rounded weights; backward adds to the gradient of each weight that 2:4 leaves
// out a little of itself, or it would come back as large as it went.
class Rounding : public torch::autograd::Function<Rounding> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& weights, const torch::Tensor& rounded,
                               bool pairs) {
    if (pairs) context->save_for_backward({weights.masked_fill(rounded != 0, 0)});
    return rounded;
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    constexpr double kDecay = 2e-4;  // Source: Zhou et al. 2021, section 4.1
    const torch::autograd::variable_list left_out = context->get_saved_variables();
    torch::Tensor gradient = gradients[0];
    if (!left_out.empty()) gradient = gradient + kDecay * left_out[0];
    return {gradient, {}, {}};
  }
};

// Shape: [inputs][outputs], as a layer's
torch::Tensor rounded_to(Precision precision, const torch::Tensor& weights) {
  torch::NoGradGuard no_grad;
  if (precision == Precision::kFp32) return weights;
  if (precision == Precision::kBf16) return weights.to(torch::kBFloat16).to(torch::kFloat32);
  const torch::Tensor flat = weights.contiguous();
  LayerView view;
  view.inputs = static_cast<uint32_t>(flat.size(0));
  view.outputs = static_cast<uint32_t>(flat.size(1));
  view.weights = flat.data_ptr<float>();
  RoundedWeights rounded = auspex::rounded(view, view.inputs, precision);
  const torch::Tensor steps =
      torch::from_blob(rounded.values.data(), flat.sizes(), torch::kInt8).to(torch::kFloat32);
  return steps * torch::from_blob(rounded.scales.data(), {flat.size(1)});
}

// A layer's weights, and a Linear's, which are transposed.
torch::Tensor rows_in(Precision precision, const torch::Tensor& weights) {
  return Rounding::apply(weights, rounded_to(precision, weights.detach()), false);
}
torch::Tensor linear_in(Precision precision, const torch::Tensor& weights) {
  return Rounding::apply(weights, rounded_to(precision, weights.detach().t()).t(),
                         precision == Precision::kInt8Pairs);
}

// Each sample in steps of its largest.
torch::Tensor in_steps(Precision precision, const torch::Tensor& x) {
  const double steps = precision == Precision::kInt4 ? kInt4Steps : kInt8Steps;
  const torch::Tensor exact = x.detach();
  const torch::Tensor largest = exact.amax(1, true);
  const torch::Tensor inverse = (steps / largest).masked_fill(largest <= kLeastScaled, 0);
  return Rounding::apply(x, (exact * inverse).round() * (largest / steps), false);
}

}  // namespace

torch::Tensor next_layer(Precision precision, torch::nn::Linear& layer, const torch::Tensor& x) {
  if (precision == Precision::kFp32) return layer->forward(x);
  const bool integers = needs_relu_before(precision);
  return torch::nn::functional::linear(integers ? in_steps(precision, x) : x,
                                       linear_in(precision, layer->weight), layer->bias);
}

torch::Tensor first_layer(Precision precision, torch::nn::EmbeddingBag& rows,
                          torch::nn::Linear& numbers, const torch::Tensor& picked,
                          const torch::Tensor& x) {
  const bool exact = precision == Precision::kFp32;
  torch::Tensor y = next_layer(exact ? Precision::kFp32 : Precision::kBf16, numbers, x);
  if (picked.size(1) == 0) return y;
  if (exact) return y + rows->forward(picked);
  namespace F = torch::nn::functional;
  return y + F::embedding_bag(picked, rows_in(precision, rows->weight),
                              F::EmbeddingBagFuncOptions().mode(torch::kSum));
}

std::vector<Precision> precisions_to_train(const ModelContent& content) {
  if (!content.precisions.empty()) return content.precisions;
  return precisions_of(Precision::kFp32, content.layers.size());
}

std::vector<float> floats_of(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.detach().contiguous();
  return {flat.data_ptr<float>(), flat.data_ptr<float>() + flat.numel()};
}

void fill(const torch::Tensor& like, const std::vector<float>& values) {
  torch::Tensor target = like.detach();
  target.copy_(torch::from_blob(const_cast<float*>(values.data()), target.sizes()));
}

void fill_transposed(const torch::Tensor& like, const std::vector<float>& values) {
  torch::Tensor target = like.detach();
  target.copy_(
      torch::from_blob(const_cast<float*>(values.data()), {target.size(1), target.size(0)}).t());
}

namespace {

// Shape: weights [inputs][outputs]
ModelContent::Layer layer_with(const torch::Tensor& weights, const torch::Tensor& bias, bool relu) {
  return {static_cast<uint32_t>(weights.size(0)), static_cast<uint32_t>(weights.size(1)),
          floats_of(weights), floats_of(bias), relu};
}

}  // namespace

ModelContent::Layer layer_of(const torch::nn::Linear& layer, bool relu) {
  return layer_with(layer->weight.t(), layer->bias, relu);
}

ModelContent::Layer layer_of(const torch::nn::EmbeddingBag& rows, const torch::nn::Linear& numbers,
                             bool relu) {
  return layer_with(torch::cat({rows->weight, numbers->weight.t()}), numbers->bias, relu);
}

void fill(torch::nn::Linear& layer, const ModelContent::Layer& values) {
  fill_transposed(layer->weight, values.weights);
  fill(layer->bias, values.bias);
}

void fill(torch::nn::EmbeddingBag& rows, torch::nn::Linear& numbers,
          const ModelContent::Layer& values) {
  const auto split = values.weights.begin() + static_cast<std::ptrdiff_t>(rows->weight.numel());
  fill(rows->weight, {values.weights.begin(), split});
  fill_transposed(numbers->weight, {split, values.weights.end()});
  fill(numbers->bias, values.bias);
}

}  // namespace auspex
