// SPDX-License-Identifier: Apache-2.0
// PyTorch's modules hold what they are given until they return: a residual block its input, a stage
// the input of its first block. Its exporter names nodes by the modules that they ran in.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "graph/operator_graph.h"

namespace auspex {

// OperatorGraph::held_until. names: "/layer1/layer1.0/conv1/Conv", or anything else, which tells
// nothing.
// Shape: names [nodes]
std::vector<uint32_t> held_by_modules(const OperatorGraph& graph,
                                      const std::vector<std::string_view>& names);

}  // namespace auspex
