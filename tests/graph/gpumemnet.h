// SPDX-License-Identifier: Apache-2.0
// GPUMemNet's measured trainings: what their layers were, as a graph. Needs ../shared/data, which a
// fresh machine lacks.
#pragma once

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/operator_graph.h"

namespace auspex::gpumemnet {

struct TrainingRun {
  OperatorGraph graph;
  std::string architecture;  // "dense"; "mlp"
  double measured_mib = 0;
  bool out_of_memory = false;
};

inline uint64_t number(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

inline std::vector<std::string_view> split(std::string_view text, std::string_view at) {
  std::vector<std::string_view> parts;
  for (size_t end = 0; end != std::string_view::npos; text.remove_prefix(end + at.size())) {
    end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
  }
  return parts;
}

// What stands behind "key:" up to the next "_".
inline std::string_view value_of(std::string_view line, std::string_view key) {
  line.remove_prefix(std::min(line.find(key) + key.size(), line.size()));
  return line.substr(0, line.find('_'));
}

inline Operator operator_of(std::string_view layer) {
  constexpr std::pair<std::string_view, Operator> kLayers[] = {
      {"conv2d", Operator::kConvolution},
      {"linear", Operator::kDense},
      {"batch_normalization", Operator::kBatchNorm},
      {"batchnorm2d", Operator::kBatchNorm},
      {"adaptive_avg_pool2d", Operator::kGlobalPool},
      {"dropout", Operator::kDropout},
      {"ReLU", Operator::kRelu},
      {"LeakyReLU", Operator::kLeakyRelu},
      {"Tanh", Operator::kTanh},
      {"GELU", Operator::kGelu},
      {"Sigmoid", Operator::kSigmoid},
      {"softmax", Operator::kSoftmax},
      {"Softmax", Operator::kSoftmax}};
  const auto* found = std::find_if(std::begin(kLayers), std::end(kLayers),
                                   [layer](const auto& known) { return known.first == layer; });
  return found == std::end(kLayers) ? Operator::kOtherActivation : found->second;
}

// Layers one after the other, as they are listed; of dense architectures a convolution that reads
// more channels than the one before has made reads those before as well.
class Chain {
 public:
  Chain(uint64_t batch, uint64_t channels, uint64_t side, bool dense)
      : batch_(batch),
        channels_(channels),
        side_(side),
        each_(channels * side * side),
        dense_(dense) {
    graph_.batch = batch;
    graph_.given_elements = batch * each_;
  }

  void add(Operator op, uint64_t outputs, uint64_t parameters) {
    OperatorNode node;
    node.op = op;
    node.parameters = parameters;
    if (op == Operator::kConvolution) read_convolution(outputs, parameters, node);
    if (op == Operator::kGlobalPool && dense_ && outputs > channels_) concat(outputs);
    push(std::move(node), outputs, {});
  }

  OperatorGraph take() {
    graph_.outputs = {static_cast<uint32_t>(graph_.nodes.size() - 1)};
    return std::move(graph_);
  }

 private:
  // Neither kernel nor channels are listed: p = outputs (k k inputs + 1), on sides that are the
  // same or halved.
  void read_convolution(uint64_t outputs, uint64_t parameters, OperatorNode& node) {
    struct Shape {
      uint64_t side, kernel, in, out;
    };
    std::optional<Shape> found;
    for (const uint64_t side : {side_, (side_ + 1) / 2, side_ / 2}) {
      for (const uint64_t kernel : {uint64_t{3}, uint64_t{1}}) {
        const uint64_t area = std::max<uint64_t>(side * side, 1), out = outputs / area;
        if (out == 0 || outputs % area != 0 || parameters % out != 0) continue;
        const uint64_t weights = parameters / out - 1, in = weights / (kernel * kernel);
        if (weights % (kernel * kernel) != 0 || (in != channels_ && !dense_)) continue;
        if (in < channels_ || (found && in >= found->in)) continue;
        found = Shape{side, kernel, in, out};
      }
    }
    if (!found) return;  // of residual architectures: a convolution beside the chain
    if (found->in > channels_) concat(found->in);
    if (dense_ && found->side < side_) pool(found->side);
    side_ = found->side;
    channels_ = found->kernel == 1 || !dense_ ? found->out : found->in;
    if (found->kernel == 1) beside_.reset();
    const auto kernel = static_cast<int64_t>(found->kernel);
    node.window.kernel = {kernel, kernel, 1};
    node.shape = {static_cast<int64_t>(batch_), static_cast<int64_t>(found->out)};
  }

  void concat(uint64_t channels) {
    OperatorNode node;
    node.op = Operator::kConcat;
    push(std::move(node), channels * side_ * side_, beside_);
    beside_ = static_cast<uint32_t>(graph_.nodes.size() - 1);
    channels_ = channels;
  }
  void pool(uint64_t side) {
    OperatorNode node;
    node.op = Operator::kAveragePool;
    push(std::move(node), channels_ * side * side, {});
  }

  void push(OperatorNode node, uint64_t outputs, std::optional<uint32_t> also) {
    const auto place = static_cast<uint32_t>(graph_.nodes.size());
    node.input_elements = batch_ * each_;
    node.output_elements = batch_ * outputs;
    each_ = outputs;
    if (also && *also + 1 != place) graph_.inputs.push_back(*also);
    if (place > 0) graph_.inputs.push_back(place - 1);
    graph_.first_input.push_back(static_cast<uint32_t>(graph_.inputs.size()));
    graph_.nodes.push_back(std::move(node));
  }

  OperatorGraph graph_;
  uint64_t batch_, channels_, side_, each_;
  bool dense_;
  std::optional<uint32_t> beside_;  // what else the next concatenation reads
};

// input_channels:3_..._arch:dense_..., 28, "[('conv2d', 924800, 896), ...]", GELU, activations,
// parameters, batch, MiB, ..., status; perceptrons: input:2615_output:218_..., with batch norms
// and dropouts before the MiB. nullopt: no layers.
inline std::optional<TrainingRun> run_of(std::string_view line) {
  const size_t open = line.find("\"[("), close = line.find(")]\"");
  if (open == std::string_view::npos || close == std::string_view::npos) return std::nullopt;
  const auto after = split(line.substr(close + 4), ",");
  const bool images = line.starts_with("input_channels:");
  const uint64_t batch = number(after.at(3));
  TrainingRun run;
  run.architecture = images ? value_of(line, "arch:") : "mlp";
  run.measured_mib = static_cast<double>(number(after.at(images ? 4 : 6)));
  run.out_of_memory = line.ends_with("OOM_CRASH");
  Chain chain(batch, number(value_of(line, images ? "input_channels:" : "input:")),
              images ? number(value_of(line, "input_size:")) : 1, run.architecture == "dense");
  for (const std::string_view layer : split(line.substr(open + 3, close - open - 3), "), (")) {
    const auto parts = split(layer, ", ");
    const std::string_view name = parts[0].substr(1, parts[0].size() - 2);
    // Perceptrons were measured without their dropouts.
    if (name == "Identity" || (!images && name == "dropout")) continue;
    chain.add(operator_of(name), number(parts.at(1)), number(parts.at(2)));
  }
  run.graph = chain.take();
  return run;
}

}  // namespace auspex::gpumemnet
