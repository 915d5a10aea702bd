// SPDX-License-Identifier: Apache-2.0
#include "graph/operator_kinds.h"

#include <algorithm>
#include <map>
#include <set>

namespace auspex {

namespace {

const std::map<std::string_view, Operator>& kinds() {
  using enum Operator;
  static const std::map<std::string_view, Operator> kKinds = {
      {"Conv", kConvolution},
      {"FusedConv", kConvolution},
      {"ConvInteger", kConvolution},
      {"QLinearConv", kConvolution},
      {"ConvTranspose", kTransposedConvolution},
      {"Gemm", kDense},
      {"MatMul", kDense},
      {"MatMulInteger", kDense},
      {"QLinearMatMul", kDense},
      {"Einsum", kEinsum},
      {"Attention", kAttention},
      {"MultiHeadAttention", kAttention},
      {"LSTM", kRecurrent},
      {"GRU", kRecurrent},
      {"RNN", kRecurrent},
      {"BatchNormalization", kBatchNorm},
      {"LayerNormalization", kLayerNorm},
      {"SkipLayerNormalization", kLayerNorm},
      {"RMSNormalization", kLayerNorm},
      {"SimplifiedLayerNormalization", kLayerNorm},
      {"LpNormalization", kLayerNorm},
      {"GroupNormalization", kGroupNorm},
      {"InstanceNormalization", kGroupNorm},
      {"LRN", kLocalNorm},
      {"Softmax", kSoftmax},
      {"LogSoftmax", kSoftmax},
      {"Relu", kRelu},
      {"Clip", kClip},
      {"LeakyRelu", kLeakyRelu},
      {"PRelu", kLeakyRelu},
      {"Gelu", kGelu},
      {"FastGelu", kGelu},
      {"Sigmoid", kSigmoid},
      {"Silu", kSilu},
      {"Swish", kSilu},
      {"Tanh", kTanh},
      {"HardSwish", kHardSwish},
      {"HardSigmoid", kHardSigmoid},
      {"Elu", kOtherActivation},
      {"Celu", kOtherActivation},
      {"Selu", kOtherActivation},
      {"Mish", kOtherActivation},
      {"Softplus", kOtherActivation},
      {"Softsign", kOtherActivation},
      {"ThresholdedRelu", kOtherActivation},
      {"Add", kAdd},
      {"Sum", kAdd},
      {"Mul", kMultiply},
      {"Sub", kSubtract},
      {"Div", kDivide},
      {"Abs", kOtherElementwise},
      {"Ceil", kOtherElementwise},
      {"Cos", kOtherElementwise},
      {"CumSum", kOtherElementwise},
      {"Erf", kOtherElementwise},
      {"Exp", kOtherElementwise},
      {"Floor", kOtherElementwise},
      {"Log", kOtherElementwise},
      {"Max", kOtherElementwise},
      {"Mean", kOtherElementwise},
      {"Min", kOtherElementwise},
      {"Mod", kOtherElementwise},
      {"Neg", kOtherElementwise},
      {"Pow", kOtherElementwise},
      {"Reciprocal", kOtherElementwise},
      {"Round", kOtherElementwise},
      {"Sign", kOtherElementwise},
      {"Sin", kOtherElementwise},
      {"Sqrt", kOtherElementwise},
      {"And", kCompare},
      {"Equal", kCompare},
      {"Greater", kCompare},
      {"GreaterOrEqual", kCompare},
      {"IsInf", kCompare},
      {"IsNaN", kCompare},
      {"Less", kCompare},
      {"LessOrEqual", kCompare},
      {"Not", kCompare},
      {"Or", kCompare},
      {"Where", kCompare},
      {"Xor", kCompare},
      {"MaxPool", kMaxPool},
      {"GlobalMaxPool", kGlobalPool},
      {"AveragePool", kAveragePool},
      {"LpPool", kAveragePool},
      {"GlobalAveragePool", kGlobalPool},
      {"ReduceL1", kReduce},
      {"ReduceL2", kReduce},
      {"ReduceLogSum", kReduce},
      {"ReduceLogSumExp", kReduce},
      {"ReduceMax", kReduce},
      {"ReduceMean", kReduce},
      {"ReduceMin", kReduce},
      {"ReduceProd", kReduce},
      {"ReduceSum", kReduce},
      {"ReduceSumSquare", kReduce},
      {"Concat", kConcat},
      {"Slice", kSlice},
      {"Split", kSlice},
      {"Transpose", kTranspose},
      {"Flatten", kReshape},
      {"Reshape", kReshape},
      {"Squeeze", kReshape},
      {"Unsqueeze", kReshape},
      {"Gather", kGather},
      {"GatherElements", kGather},
      {"GatherND", kGather},
      {"ScatterElements", kScatter},
      {"ScatterND", kScatter},
      {"Pad", kPad},
      {"Resize", kResize},
      {"Upsample", kResize},
      {"GridSample", kResize},
      {"Expand", kExpand},
      {"Tile", kExpand},
      {"ConstantOfShape", kExpand},
      {"Range", kExpand},
      {"Trilu", kExpand},
      {"Cast", kCast},
      {"CastLike", kCast},
      {"DepthToSpace", kRearrange},
      {"SpaceToDepth", kRearrange},
      {"ArgMax", kSort},
      {"ArgMin", kSort},
      {"NonZero", kSort},
      {"OneHot", kSort},
      {"TopK", kSort},
      {"DequantizeLinear", kQuantize},
      {"DynamicQuantizeLinear", kQuantize},
      {"QuantizeLinear", kQuantize},
      {"Dropout", kDropout},
      {"Bernoulli", kRandom},
      {"RandomNormal", kRandom},
      {"RandomNormalLike", kRandom},
      {"RandomUniform", kRandom},
      {"RandomUniformLike", kRandom},
  };
  return kKinds;
}

// Shape: values [spatial dimensions]
void copy_window(const std::vector<int64_t>& values, std::array<int64_t, 3>& out) {
  std::copy_n(values.begin(), std::min(values.size(), out.size()), out.begin());
}

// As many as fit: a file may say anything.
uint64_t times(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

uint64_t product(const std::vector<int64_t>& shape, size_t first) {
  uint64_t product = 1;
  for (size_t i = first; i < shape.size(); ++i) product = times(product, uint64_t(shape[i]));
  return product;
}

// "bhid,bhjd->bhij": every index that there is, once.
uint64_t einsum_macs(const onnx::NodeProto& node, const std::vector<const KnownTensor*>& inputs) {
  const auto* equation = attribute(node, "equation");
  if (!equation) return 0;
  std::map<char, int64_t> size;
  size_t input = 0, place = 0;
  for (const char c : equation->s()) {
    if (c == '-' || c == '.') break;
    if (c == ' ') continue;
    if (c == ',') {
      ++input;
      place = 0;
      continue;
    }
    if (input >= inputs.size() || !inputs[input] || place >= inputs[input]->shape.size()) return 0;
    size[c] = inputs[input]->shape[place++];
  }
  uint64_t macs = 1;
  for (const auto& [name, count] : size) macs = times(macs, uint64_t(count));
  return macs;
}

uint64_t macs_of(Operator op, const onnx::NodeProto& node,
                 const std::vector<const KnownTensor*>& inputs, const KnownTensor& output) {
  const auto shape = [&](size_t i) -> const std::vector<int64_t>* {
    return i < inputs.size() && inputs[i] && inputs[i]->has_shape ? &inputs[i]->shape : nullptr;
  };
  const bool quantized = node.op_type().starts_with("QLinear");
  const auto *a = shape(0), *b = shape(quantized ? 3 : 1), *c = shape(2);
  if (!a) return 0;
  switch (op) {
    case Operator::kConvolution:
      return b ? times(elements_of(output.shape), product(*b, 1)) : 0;
    case Operator::kTransposedConvolution:
      return b ? times(elements_of(*a), product(*b, 1)) : 0;
    case Operator::kDense:
    case Operator::kBatchedMultiply: {
      if (a->empty()) return 0;
      const bool turned = attribute_or(node, "transA", 0) != 0;
      return times(elements_of(output.shape), uint64_t(turned ? a->front() : a->back()));
    }
    case Operator::kEinsum:
      return einsum_macs(node, inputs);
    case Operator::kRecurrent: {  // inputs [steps, samples, values], weights [directions, ...]
      if (a->size() < 2 || !b || !c) return 0;
      const uint64_t rows = times(uint64_t((*a)[0]), uint64_t((*a)[1]));
      return times(rows, elements_of(*b) + elements_of(*c));
    }
    default:
      return 0;
  }
}

}  // namespace

Operator operator_of(std::string_view onnx_type) {
  const auto found = kinds().find(onnx_type);
  return found == kinds().end() ? Operator::kUnknown : found->second;
}

bool only_renames(std::string_view onnx_type) {
  static const std::set<std::string_view> kThese = {"Identity", "Dropout", "Optional",
                                                    "OptionalGetElement"};
  return kThese.contains(onnx_type) || operator_of(onnx_type) == Operator::kReshape;
}

uint64_t elements_of(const std::vector<int64_t>& shape) {
  return product(shape, 0);
}

uint8_t bytes_of_type(int32_t onnx_type) {
  using onnx::TensorProto;
  switch (onnx_type) {
    case TensorProto::BOOL:
    case TensorProto::INT8:
    case TensorProto::UINT8:
      return 1;
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
    case TensorProto::INT16:
    case TensorProto::UINT16:
      return 2;
    case TensorProto::DOUBLE:
    case TensorProto::INT64:
    case TensorProto::UINT64:
    case TensorProto::COMPLEX64:
      return 8;
    case TensorProto::COMPLEX128:
      return 16;
    default:
      return 4;
  }
}

OperatorNode operator_node(const onnx::NodeProto& node,
                           const std::vector<const KnownTensor*>& inputs,
                           const KnownTensor& output) {
  OperatorNode out;
  out.op = operator_of(node.op_type());
  out.shape = output.shape;
  out.element_bytes = bytes_of_type(output.type);
  const bool weights = inputs.size() > 1 && inputs[1] && inputs[1]->weight;
  if (node.op_type() == "MatMul" && !weights && !(inputs[0] && inputs[0]->weight)) {
    out.op = Operator::kBatchedMultiply;
  }
  if (out.op == Operator::kGather && inputs[0] && inputs[0]->weight) out.op = Operator::kEmbedding;
  // One known place along a dimension: a framework looks at it there.
  if (out.op == Operator::kGather && inputs.size() > 1 && inputs[1] && inputs[1]->values &&
      inputs[1]->shape.empty()) {
    out.op = Operator::kSlice;
  }
  copy_window(attribute_list(node, "kernel_shape"), out.window.kernel);
  copy_window(attribute_list(node, "strides"), out.window.stride);
  copy_window(attribute_list(node, "dilations"), out.window.dilation);
  if (weights && !attribute(node, "kernel_shape") && out.op == Operator::kConvolution &&
      inputs[1]->shape.size() > 2) {
    copy_window({inputs[1]->shape.begin() + 2, inputs[1]->shape.end()}, out.window.kernel);
  }
  out.swaps = attribute_list(node, "perm") == std::vector<int64_t>{0, 2, 1, 3};
  out.window.groups = attribute_or(node, "group", 1);
  out.macs = macs_of(out.op, node, inputs, output);
  return out;
}

}  // namespace auspex
