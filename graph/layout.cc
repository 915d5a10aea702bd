// SPDX-License-Identifier: Apache-2.0
#include "graph/layout.h"

#include <algorithm>
#include <cstdint>
#include <span>

namespace auspex {
namespace {

// kRows: positions of a batch, channels closest together, as products of matrices leave them.
enum class Layout : uint8_t { kRows, kChannelsFirst, kChannelsLast };

using Shape = std::vector<int64_t>;

// [batch, height, width, channels] -> [batch, channels, height, width]
bool to_images(const Shape& from, const Shape& to) {
  return from.size() == 4 && to == Shape{from[0], from[3], from[1], from[2]};
}

class Following {
 public:
  explicit Following(const OperatorGraph& graph)
      : graph_(graph), readers_(readers_of(graph)), layout_(graph.nodes.size()) {
    found_.channels_last.resize(layout_.size());
    found_.looks.resize(layout_.size());
  }

  Layouts run() {
    for (uint32_t i = 0; i < layout_.size(); ++i) {
      const auto inputs = graph_.inputs_of(i);
      const Layout before = inputs.empty() ? Layout::kChannelsFirst : layout_[inputs[0]];
      const bool turns = graph_.nodes[i].op == Operator::kTranspose && !inputs.empty();
      layout_[i] = turns ? turned(i, inputs[0], before) : kept(i, inputs, before);
      found_.channels_last[i] = layout_[i] == Layout::kChannelsLast;
    }
    return found_;
  }

 private:
  Layout turned(uint32_t i, uint32_t input, Layout before) {
    const Shape &from = graph_.nodes[input].shape, &to = graph_.nodes[i].shape;
    const bool images = before == Layout::kRows && (to_images(from, to) || read_as_images(i));
    found_.looks[i] = images || before == Layout::kChannelsLast;
    return images ? Layout::kChannelsLast : Layout::kRows;
  }

  // [batch, positions, channels] -> [batch, channels, positions], of which somebody makes images
  bool read_as_images(uint32_t i) const {
    return graph_.nodes[i].shape.size() == 3 && !readers_[i].empty() &&
           std::all_of(readers_[i].begin(), readers_[i].end(), [&](uint32_t reader) {
             const OperatorNode& node = graph_.nodes[reader];
             return node.op == Operator::kConvolution && node.shape.size() == 4;
           });
  }

  Layout kept(uint32_t i, std::span<const uint32_t> inputs, Layout before) const {
    switch (graph_.nodes[i].op) {
      case Operator::kConvolution:
      case Operator::kTransposedConvolution:
        return before == Layout::kChannelsLast ? before : Layout::kChannelsFirst;
      case Operator::kDense:
      case Operator::kBatchedMultiply:
      case Operator::kAttention:
      case Operator::kLayerNorm:
        return Layout::kRows;
      default:
        return inputs.empty() ? Layout::kRows : before;
    }
  }

  const OperatorGraph& graph_;
  const std::vector<std::vector<uint32_t>> readers_;
  std::vector<Layout> layout_;
  Layouts found_;
};

}  // namespace

Layouts layouts_of(const OperatorGraph& graph) {
  return Following(graph).run();
}

}  // namespace auspex
