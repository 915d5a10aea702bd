// SPDX-License-Identifier: Apache-2.0
#include "graph/memory.h"

#include <optional>
#include <vector>

#include "graph/caching_allocator.h"

namespace auspex {
namespace {

// What an operator's gradient needs of its forward run.
struct Saved {
  bool input = false, output = false;
  uint64_t index_bytes = 0;  // for each element of the output: where a maximum was, a mask
};

// Source: the formulas of the derivatives; which of two a framework keeps, from PyTorch.
Saved saved_by(Operator op) {
  switch (op) {
    case Operator::kConvolution:
    case Operator::kTransposedConvolution:
    case Operator::kDense:
    case Operator::kBatchedMultiply:
    case Operator::kEinsum:
    case Operator::kRecurrent:
    case Operator::kEmbedding:
    case Operator::kBatchNorm:
    case Operator::kLayerNorm:
    case Operator::kGroupNorm:
    case Operator::kLocalNorm:
    case Operator::kGelu:
    case Operator::kSilu:
    case Operator::kHardSwish:
    case Operator::kHardSigmoid:
    case Operator::kClip:
    case Operator::kOtherActivation:
    case Operator::kOtherElementwise:
    case Operator::kMultiply:
    case Operator::kDivide:
    case Operator::kAveragePool:
    case Operator::kUnknown:
      return {true, false, 0};
    case Operator::kAttention:
      return {true, true, 0};
    case Operator::kMaxPool:
    case Operator::kSort:
      return {true, false, 8};
    case Operator::kDropout:
      return {false, false, 1};
    case Operator::kRelu:
    case Operator::kLeakyRelu:
    case Operator::kSigmoid:
    case Operator::kTanh:
    case Operator::kSoftmax:
      return {false, true, 0};
    default:
      return {};
  }
}

class Step {
 public:
  Step(const OperatorGraph& graph, const RunConfig& config)
      : graph_(graph),
        config_(config),
        keeps_(config.mode != RunMode::kInference),
        readers_(readers_of(graph)),
        views_(views_of(graph)),
        tensors_(graph.nodes.size()),
        owner_(graph.nodes.size()),
        leaves_(graph.nodes.size()) {
    for (uint32_t i = 0; i < owner_.size(); ++i) owner_[i] = i;
    for (const uint32_t output : graph.outputs) leaves_[output] = true;
  }

  MemoryUse run(uint64_t library_bytes) {
    take_weights();
    if (library_bytes > 0) allocator_.take(library_bytes);
    allocator_.take(graph_.given_elements * width());
    for (uint32_t i = 0; i < graph_.nodes.size(); ++i) forward(i);
    if (trains()) {
      backward();
      optimize();
    }
    use_.most = allocator_.most_taken();
    use_.reserved = allocator_.reserved();
    return use_;
  }

 private:
  struct Tensor {
    std::optional<CachingAllocator::Block> block, index, cast;
    uint32_t waits = 0;  // readers that have not run
    bool saved = false;  // a gradient needs it
  };

  uint64_t width() const { return bytes_of(config_.format); }
  bool trains() const { return config_.mode == RunMode::kTraining; }
  uint64_t weight_width() const { return trains() ? bytes_of(NumberFormat::kFp32) : width(); }
  uint64_t bytes(const OperatorNode& node) const {
    const bool number = node.element_bytes == 4 || node.element_bytes == 2;
    return node.output_elements * (number ? width() : node.element_bytes);
  }

  void take_weights() {
    uint64_t copies = 1;
    if (trains()) copies += states_of(config_.optimizer);
    for (const OperatorNode& node : graph_.nodes) {
      if (node.parameters == 0) continue;
      for (uint64_t copy = 0; copy < copies; ++copy) {
        allocator_.take(node.parameters * weight_width());
        use_.weights += node.parameters * weight_width();
      }
    }
  }

  // Its input's memory, if that is nobody else's.
  bool in_place(uint32_t i) const {
    const Operator op = graph_.nodes[i].op;
    if (op != Operator::kRelu && op != Operator::kClip && op != Operator::kHardSwish) return false;
    const auto inputs = graph_.inputs_of(i);
    if (inputs.size() != 1) return false;
    const uint32_t input = inputs[0];
    if (readers_[input].size() != 1 || owner_[input] != input || leaves_[input]) return false;
    const bool overwrites_saved = saved_by(graph_.nodes[input].op).output || saved_by(op).input;
    return !keeps_ || !overwrites_saved;
  }

  void forward(uint32_t i) {
    const OperatorNode& node = graph_.nodes[i];
    const auto inputs = graph_.inputs_of(i);
    if (node.parameters > 0 && width() < weight_width()) {
      tensors_[i].cast = allocator_.take(node.parameters * width());
    }
    if (views_[i] || in_place(i)) {
      owner_[i] = owner_[inputs[0]];
    } else {
      tensors_[i].block = allocator_.take(bytes(node));
    }
    Tensor& result = tensors_[owner_[i]];
    result.waits += static_cast<uint32_t>(readers_[i].size()) + (leaves_[i] ? 1 : 0);
    if (keeps_ && !views_[i]) save(i);
    for (const uint32_t input : inputs) {
      Tensor& read = tensors_[owner_[input]];
      --read.waits;
      free_unless_needed(read);
    }
    free_unless_needed(result);
  }

  void save(uint32_t i) {
    const Saved saved = saved_by(graph_.nodes[i].op);
    if (saved.output) tensors_[owner_[i]].saved = true;
    if (saved.input) {
      for (const uint32_t input : graph_.inputs_of(i)) tensors_[owner_[input]].saved = true;
    }
    if (saved.index_bytes > 0) {
      tensors_[i].index = allocator_.take(graph_.nodes[i].output_elements * saved.index_bytes);
    }
  }

  void free_unless_needed(Tensor& tensor) {
    if (tensor.waits > 0 || tensor.saved || !tensor.block) return;
    allocator_.give_back(*tensor.block);
    tensor.block.reset();
  }

  // From the last node to the first: a gradient for each input and for the weights, which stay,
  // then what was saved goes.
  void backward() {
    std::vector<std::optional<CachingAllocator::Block>> gradient(graph_.nodes.size());
    for (uint32_t i = static_cast<uint32_t>(graph_.nodes.size()); i-- > 0;) {
      if (!gradient[i] && leaves_[i]) gradient[i] = allocator_.take(bytes(graph_.nodes[i]));
      for (const uint32_t input : graph_.inputs_of(i)) {
        if (!gradient[input]) gradient[input] = allocator_.take(bytes(graph_.nodes[input]));
      }
      if (const uint64_t parameters = graph_.nodes[i].parameters; parameters > 0) {
        allocator_.take(parameters * weight_width());
        use_.weights += parameters * weight_width();
      }
      if (gradient[i]) allocator_.give_back(*gradient[i]);
      Tensor& own = tensors_[i];
      own.saved = false;
      own.waits = 0;
      free_unless_needed(own);
      if (own.index) allocator_.give_back(*own.index);
      if (own.cast) allocator_.give_back(*own.cast);
    }
  }

  // Adam divides by roots of all its second moments at once: they lie there for a moment.
  void optimize() {
    if (config_.optimizer != Optimizer::kAdam) return;
    for (const OperatorNode& node : graph_.nodes) {
      if (node.parameters > 0) allocator_.take(node.parameters * weight_width());
    }
  }

  const OperatorGraph& graph_;
  const RunConfig& config_;
  bool keeps_;
  std::vector<std::vector<uint32_t>> readers_;
  std::vector<bool> views_;
  std::vector<Tensor> tensors_;
  std::vector<uint32_t> owner_;  // whose memory each result is in
  std::vector<bool> leaves_;     // the model with the result
  CachingAllocator allocator_;
  MemoryUse use_;
};

}  // namespace

MemoryUse memory_use(const OperatorGraph& graph, const RunConfig& config, uint64_t library_bytes) {
  return Step(graph, config).run(library_bytes);
}

}  // namespace auspex
