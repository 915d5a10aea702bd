// SPDX-License-Identifier: Apache-2.0
#include "graph/work.h"

#include <algorithm>
#include <optional>

#include "graph/layout.h"

namespace auspex {
namespace {

class Counting {
 public:
  Counting(const OperatorGraph& graph, RunMode mode)
      : graph_(graph),
        readers_(readers_of(graph)),
        layouts_(layouts_of(graph)),
        views_(views_of(graph, mode)) {
    for (size_t i = 0; i < views_.size(); ++i) views_[i] = views_[i] || layouts_.looks[i];
    done_ = views_;
  }

  Work run() {
    for (uint32_t i = 0; i < graph_.nodes.size(); ++i) {
      if (graph_.nodes[i].op == Operator::kSoftmax) attention(i);
    }
    for (uint32_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!done_[i]) count(i);
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
    if (!one_kernel(graph_.nodes[softmax]) || !read_once(softmax)) return;
    if (op(readers_[softmax][0]) != Operator::kBatchedMultiply) return;
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

  static bool one_kernel(const OperatorNode& node) { return node.shape.size() == 4; }

  // q s (k s)^T, softmax, times v: the scales with copies into the order of products.
  void attention_in_parts(const OperatorNode& node) {
    const auto results = static_cast<double>(node.output_elements);
    const auto given = static_cast<double>(node.input_elements);
    const auto macs = static_cast<double>(node.macs);
    const double scores = macs / 2 / std::max(1.0, static_cast<double>(node.shape.back()));
    Task scaling{{}, Traffic::kArithmetic}, weights{{}, Traffic::kNorm};
    scaling.results = given;
    scaling.elements = 2 * given;
    weights.results = scores;
    weights.elements = 2 * scores;
    Task product{Product::kBatched, Traffic::kMatrix, macs / 2};
    product.results = scores;
    product.elements = std::max(0.0, given - results) + scores;
    add(scaling);
    add(product);
    add(weights);
    product.results = results;
    product.elements = scores + 2 * results;
    add(product);
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

  static Product convolution(const OperatorNode& node, bool channels_last) {
    const Window& window = node.window;
    if (window.groups > 1) {
      const bool single = node.shape.size() > 1 && window.groups >= node.shape[1];
      if (!single) return Product::kGrouped;
      return channels_last ? Product::kChannelwise : Product::kDepthwise;
    }
    const bool point = window.kernel == std::array<int64_t, 3>{1, 1, 1};
    return point ? Product::kDense : Product::kConvolution;
  }

  // Channels of a group, or columns of a matrix of weights, of which a block multiplies so many at
  // a time. Source: ours, of 32, 64 and 128 what fits timm's benchmarks best.
  static double padding_of(const OperatorNode& node, Product product) {
    constexpr int64_t kBlock = 64;
    const bool images = node.op == Operator::kConvolution;
    const bool alone = product == Product::kDepthwise || product == Product::kChannelwise;
    if (alone || (!images && node.op != Operator::kDense) || node.shape.size() < 2) return 1;
    const int64_t columns =
        images ? node.shape[1] / std::max<int64_t>(1, node.window.groups) : node.shape.back();
    if (columns <= 0) return 1;
    const int64_t blocks = (columns - 1) / kBlock + 1;
    return static_cast<double>(blocks) * kBlock / static_cast<double>(columns);
  }

  static std::optional<Product> product_of(const OperatorNode& node, bool channels_last) {
    switch (node.op) {
      case Operator::kConvolution:
        return convolution(node, channels_last);
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
      case Operator::kAdd:
      case Operator::kMultiply:
      case Operator::kSubtract:
      case Operator::kDivide:
      case Operator::kOtherElementwise:
      case Operator::kCompare:
      case Operator::kCast:
        return Traffic::kArithmetic;
      case Operator::kBatchNorm:
        return Traffic::kBatchNorm;
      case Operator::kSoftmax:
      case Operator::kLayerNorm:
      case Operator::kGroupNorm:
      case Operator::kReduce:
      case Operator::kGlobalPool:
      case Operator::kAveragePool:
        return Traffic::kNorm;
      case Operator::kMaxPool:
        return Traffic::kPool;
      case Operator::kTranspose:
      case Operator::kConcat:
      case Operator::kPad:
      case Operator::kRearrange:
      case Operator::kResize:
      case Operator::kGather:
      case Operator::kScatter:
      case Operator::kExpand:
        return Traffic::kMoves;
      default:
        return Traffic::kActivation;
    }
  }

  void count(uint32_t i) {
    const OperatorNode& node = graph_.nodes[i];
    if (node.op == Operator::kAttention && !one_kernel(node) && !node.shape.empty()) {
      return attention_in_parts(node);
    }
    Task task{product_of(node, layouts_.channels_last[i]), traffic_of(node.op)};
    task.channels_last = layouts_.channels_last[i];
    task.results = static_cast<double>(node.output_elements);
    task.elements = static_cast<double>(node.input_elements) + task.results;
    if (task.product) {
      const bool images =
          node.op == Operator::kConvolution || node.op == Operator::kTransposedConvolution;
      task.traffic = images ? Traffic::kImages : Traffic::kMatrix;
      task.macs = static_cast<double>(node.macs);
      task.padding = padding_of(node, *task.product);
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
  const Layouts layouts_;
  std::vector<bool> views_, done_;
  Work work_;
};

}  // namespace

Work work_of(const OperatorGraph& graph, RunMode mode) {
  return Counting(graph, mode).run();
}

}  // namespace auspex
