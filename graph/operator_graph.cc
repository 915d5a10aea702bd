// SPDX-License-Identifier: Apache-2.0
#include "graph/operator_graph.h"

#include <algorithm>

namespace auspex {

const std::array<const char*, kOperatorCount> kOperatorNames = {"unknown",
                                                                "convolution",
                                                                "transposed_convolution",
                                                                "dense",
                                                                "batched_multiply",
                                                                "einsum",
                                                                "attention",
                                                                "recurrent",
                                                                "embedding",
                                                                "batch_norm",
                                                                "layer_norm",
                                                                "group_norm",
                                                                "local_norm",
                                                                "softmax",
                                                                "relu",
                                                                "clip",
                                                                "leaky_relu",
                                                                "gelu",
                                                                "sigmoid",
                                                                "silu",
                                                                "tanh",
                                                                "hard_swish",
                                                                "hard_sigmoid",
                                                                "other_activation",
                                                                "add",
                                                                "multiply",
                                                                "subtract",
                                                                "divide",
                                                                "other_elementwise",
                                                                "compare",
                                                                "max_pool",
                                                                "average_pool",
                                                                "global_pool",
                                                                "reduce",
                                                                "concat",
                                                                "slice",
                                                                "transpose",
                                                                "reshape",
                                                                "gather",
                                                                "scatter",
                                                                "pad",
                                                                "resize",
                                                                "expand",
                                                                "cast",
                                                                "rearrange",
                                                                "sort",
                                                                "quantize",
                                                                "random",
                                                                "dropout"};

uint64_t OperatorGraph::macs() const {
  uint64_t sum = 0;
  for (const OperatorNode& node : nodes) {
    if (__builtin_add_overflow(sum, node.macs, &sum)) return UINT64_MAX;
  }
  return sum;
}

std::vector<std::vector<uint32_t>> readers_of(const OperatorGraph& graph) {
  std::vector<std::vector<uint32_t>> readers(graph.nodes.size());
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    for (const uint32_t input : graph.inputs_of(i)) readers[input].push_back(i);
  }
  return readers;
}

std::vector<bool> views_of(const OperatorGraph& graph, RunMode mode) {
  // Others bring what they read into its own order first.
  const auto takes_strides = [](Operator op) {
    switch (op) {
      case Operator::kConvolution:
      case Operator::kDense:
      case Operator::kLayerNorm:
      case Operator::kSoftmax:
      case Operator::kUnknown:
        return false;
      default:
        return true;
    }
  };
  const auto readers = readers_of(graph);
  std::vector<bool> views(graph.nodes.size());
  for (size_t i = 0; i < views.size(); ++i) {
    const OperatorNode& node = graph.nodes[i];
    const auto inputs = graph.inputs_of(static_cast<uint32_t>(i));
    if (inputs.empty()) continue;  // it looks at the model's own
    if (node.op == Operator::kSlice || node.op == Operator::kReshape) views[i] = true;
    if (node.op == Operator::kPad) views[i] = node.output_elements == node.input_elements;
    if (node.op == Operator::kDropout) views[i] = mode != RunMode::kTraining;
    if (node.op == Operator::kTranspose) {
      // Fused attention writes its result so that the heads of a position lie together.
      const bool after_attention = node.swaps && graph.nodes[inputs[0]].op == Operator::kAttention;
      views[i] = after_attention ||
                 (!node.reshaped && !readers[i].empty() &&
                  std::all_of(readers[i].begin(), readers[i].end(), [&](uint32_t reader) {
                    return takes_strides(graph.nodes[reader].op);
                  }));
    }
  }
  return views;
}

}  // namespace auspex
