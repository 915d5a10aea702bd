// SPDX-License-Identifier: Apache-2.0
// The shapes of everything in an ONNX graph, once its inputs are given.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "graph/onnx_input.h"
#include "graph/onnx_values.h"
#include "shared/result.h"

namespace auspex {

// A tensor's name -> what is known of it. Keys live as long as the model.
struct KnownTensor {
  int32_t type = onnx::TensorProto::UNDEFINED;  // onnx.TensorProto.DataType
  bool has_shape = false;
  bool weight = false;  // an initializer
  std::vector<int64_t> shape;
  std::optional<SmallTensor> values;
};
using KnownTensors = std::unordered_map<std::string_view, KnownTensor>;

struct InferredShapes {
  KnownTensors tensors;
  std::vector<const onnx::NodeProto*> order;  // the nodes, inputs first
};

// model: without value_info; its initializers may lack their content.
// Errors: an input that is not there, is open and not given, or is fixed to something else; a
// cycle; a node whose inputs do not fit; a shape beyond 2^48 elements.
Result<InferredShapes> infer_shapes(const onnx::ModelProto& model, const ModelInput& input);

}  // namespace auspex
