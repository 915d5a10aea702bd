// SPDX-License-Identifier: Apache-2.0
#include "graph/work.h"

#include <optional>

namespace auspex {
namespace {

class Counting {
 public:
  Counting(const OperatorGraph& graph, RunMode mode)
      : graph_(graph), readers_(readers_of(graph)), views_(views_of(graph, mode)), done_(views_) {}

  Work run() {
    for (uint32_t i = 0; i < graph_.nodes.size(); ++i) {
      if (graph_.nodes[i].op == Operator::kSoftmax) attention(i);
    }
    for (uint32_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!done_[i]) count(graph_.nodes[i]);
      if (views_[i]) ++work_.views;
    }
    return work_;
  }

 private:
  Operator op(uint32_t i) const { return graph_.nodes[i].op; }
  bool read_once(uint32_t i) const { return readers_[i].size() == 1; }

  // A scale between the first product and the softmax belongs to it. With a bias or a mask in
  // between most models run the parts one by one.
  void attention(uint32_t softmax) {
    if (!read_once(softmax) || op(readers_[softmax][0]) != Operator::kBatchedMultiply) return;
    const uint32_t last = readers_[softmax][0];
    std::vector<uint32_t> parts = {softmax, last};
    for (auto inputs = graph_.inputs_of(softmax); !inputs.empty();) {
      const uint32_t before = inputs[0];
      if (!read_once(before)) return;
      parts.push_back(before);
      if (op(before) == Operator::kBatchedMultiply) return take(parts, before, last);
      if (op(before) != Operator::kMultiply && op(before) != Operator::kDivide) return;
      inputs = graph_.inputs_of(before);
    }
  }

  void take(const std::vector<uint32_t>& parts, uint32_t first, uint32_t last) {
    for (const uint32_t part : parts) done_[part] = true;
    const OperatorNode& scores = graph_.nodes[first];
    const OperatorNode& result = graph_.nodes[last];
    const auto results = static_cast<double>(result.output_elements);
    Task task{Product::kBatched, Traffic::kMatrix};
    task.macs = static_cast<double>(scores.macs) + static_cast<double>(result.macs);
    task.results = results;
    task.elements = static_cast<double>(scores.input_elements) + 2 * results;
    add(task);
  }

  void add(const Task& task) {
    if (task.product) work_.macs[static_cast<size_t>(*task.product)] += task.macs;
    work_.elements[static_cast<size_t>(task.traffic)] += task.elements;
    work_.weights += task.weights;
    work_.tasks.push_back(task);
  }

  static Product convolution(const OperatorNode& node) {
    const Window& window = node.window;
    if (window.groups > 1) {
      const bool single = node.shape.size() > 1 && window.groups >= node.shape[1];
      return single ? Product::kDepthwise : Product::kGrouped;
    }
    const bool point = window.kernel == std::array<int64_t, 3>{1, 1, 1};
    return point ? Product::kDense : Product::kConvolution;
  }

  static std::optional<Product> product_of(const OperatorNode& node) {
    switch (node.op) {
      case Operator::kConvolution:
        return convolution(node);
      case Operator::kTransposedConvolution:
        return Product::kConvolution;
      case Operator::kDense:
      case Operator::kEinsum:
      case Operator::kRecurrent:
        return Product::kDense;
      case Operator::kBatchedMultiply:
      case Operator::kAttention:
        return Product::kBatched;
      default:
        return {};
    }
  }

  static Traffic traffic_of(Operator op) {
    switch (op) {
      case Operator::kSoftmax:
      case Operator::kBatchNorm:
      case Operator::kLayerNorm:
      case Operator::kGroupNorm:
      case Operator::kReduce:
      case Operator::kGlobalPool:
        return Traffic::kNorm;
      case Operator::kTranspose:
      case Operator::kConcat:
      case Operator::kPad:
      case Operator::kRearrange:
      case Operator::kResize:
      case Operator::kGather:
      case Operator::kExpand:
        return Traffic::kMoves;
      default:
        return Traffic::kElementwise;
    }
  }

  void count(const OperatorNode& node) {
    Task task{product_of(node), traffic_of(node.op)};
    task.results = static_cast<double>(node.output_elements);
    task.elements = static_cast<double>(node.input_elements) + task.results;
    if (task.product) {
      const bool images =
          node.op == Operator::kConvolution || node.op == Operator::kTransposedConvolution;
      task.traffic = images ? Traffic::kImages : Traffic::kMatrix;
      task.macs = static_cast<double>(node.macs);
    }
    // Of a table a few rows are read.
    if (node.op != Operator::kEmbedding) task.weights = static_cast<double>(node.parameters);
    if (node.op == Operator::kRecurrent && !node.shape.empty()) {
      task.steps = static_cast<double>(node.shape[0]);
    }
    add(task);
  }

  const OperatorGraph& graph_;
  const std::vector<std::vector<uint32_t>> readers_;
  const std::vector<bool> views_;
  std::vector<bool> done_;
  Work work_;
};

}  // namespace

Work work_of(const OperatorGraph& graph, RunMode mode) {
  return Counting(graph, mode).run();
}

}  // namespace auspex
