// SPDX-License-Identifier: Apache-2.0
// What can be told of a model without its weights: the few numbers that shapes are computed from.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace auspex {

// Numbers of any element type; whole ones are exact below 2^53.
struct SmallTensor {
  std::vector<int64_t> shape;
  std::vector<double> values;
  int32_t type = onnx::TensorProto::INT64;  // onnx.TensorProto.DataType
};
inline constexpr size_t kMostSmallValues = 4096;

// None: its content is elsewhere, was left out, or is no number.
std::optional<SmallTensor> small_tensor(const onnx::TensorProto& tensor);
onnx::TensorProto tensor_proto(const SmallTensor& tensor);

// None: more than `most`, or a dimension is negative.
std::optional<size_t> count_elements(const std::vector<int64_t>& shape, size_t most);
// Towards zero; what does not fit becomes the nearest that does.
int64_t whole_number(double value);

// Elements between neighbours along each dimension.
std::vector<int64_t> strides_of(const std::vector<int64_t>& shape);
// Picks elements: those of the result lie `strides` apart in the data, from `first` on.
// Shape: shape, strides [dimensions of the result]; at most kMostSmallValues elements
SmallTensor picked(const SmallTensor& data, std::vector<int64_t> shape,
                   const std::vector<int64_t>& strides, int64_t first);
// What two shapes are broadcast to. None: they do not fit together, or the result is not small.
std::optional<std::vector<int64_t>> common_shape(std::vector<int64_t> a, std::vector<int64_t> b);
// shape: a common shape of the data's and another
SmallTensor expanded(const SmallTensor& data, const std::vector<int64_t>& shape);

// The shape of an input, empty for a scalar; nullptr where it is not known.
using KnownShape = const std::vector<int64_t>*;

// The node's first output. inputs: nullptr where one is not known. None: it depends on something
// unknown, or this operator does not compute shapes.
std::optional<SmallTensor> evaluate(const onnx::NodeProto& node,
                                    std::span<const SmallTensor* const> inputs,
                                    std::span<const KnownShape> shapes);

// Attributes with the default that applies where a node has none.
const onnx::AttributeProto* attribute(const onnx::NodeProto& node, const char* name);
int64_t attribute_or(const onnx::NodeProto& node, const char* name, int64_t otherwise);
std::vector<int64_t> attribute_list(const onnx::NodeProto& node, const char* name);

}  // namespace auspex
