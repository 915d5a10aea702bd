// SPDX-License-Identifier: Apache-2.0
// What each ONNX operator is here, and what it has to do.
#pragma once

#include <onnx/onnx_pb.h>

#include <string_view>

#include "graph/onnx_shapes.h"
#include "graph/operator_graph.h"

namespace auspex {

// kUnknown: the vocabulary lacks it.
Operator operator_of(std::string_view onnx_type);

// Its result is its first input, perhaps in another shape: nothing runs.
bool only_renames(std::string_view onnx_type);

// A node with its window, and the multiply-accumulates it takes. inputs: as the node has them,
// nullptr for those left out or unknown.
OperatorNode operator_node(const onnx::NodeProto& node,
                           const std::vector<const KnownTensor*>& inputs,
                           const KnownTensor& output);

uint64_t elements_of(const std::vector<int64_t>& shape);
uint8_t bytes_of_type(int32_t onnx_type);

}  // namespace auspex
