// SPDX-License-Identifier: Apache-2.0
// Exporters write one kernel of a framework as several ONNX operators; here it is one node again.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "graph/operator_graph.h"

namespace auspex {

// An operator on its way into the graph.
struct DraftNode {
  std::string_view type;  // ONNX's
  std::string_view name;  // the exporter's; of PyTorch's: "/layer1/layer1.0/conv1/Conv"
  OperatorNode node;
  std::vector<uint32_t> inputs;  // drafts, each once
  bool leaves = false;           // its result is the model's
  bool gone = false;             // part of another now
};

// GELU, SiLU, hard swish, layer norm, a dense layer with its biases. Those that become part of
// another are marked gone.
void fuse(std::vector<DraftNode>& drafts);

}  // namespace auspex
