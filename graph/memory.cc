// SPDX-License-Identifier: Apache-2.0
#include "graph/memory.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "graph/caching_allocator.h"
#include "graph/operator_memory.h"

namespace auspex {
namespace {

// A job's later steps have what the first one has left between its results: workspaces, and what an
// optimizer keeps.
constexpr int kSteps = 3;

// Memory of the card, given back with the last who holds it.
class Lent {
 public:
  Lent(CachingAllocator& allocator, uint64_t bytes)
      : allocator_(allocator), block_(allocator.take(bytes)) {}
  ~Lent() { allocator_.give_back(block_); }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

 private:
  CachingAllocator& allocator_;
  CachingAllocator::Block block_;
};
using Held = std::shared_ptr<Lent>;

class Job {
 public:
  Job(const OperatorGraph& graph, const RunConfig& config, uint64_t product_workspace)
      : graph_(graph),
        config_(config),
        product_workspace_(product_workspace),
        trains_(config.mode == RunMode::kTraining),
        keeps_(config.mode != RunMode::kInference),
        autocast_(trains_ && config.format == NumberFormat::kHalf),
        stored_(autocast_ ? 4 : bytes_of(config.format)),
        readers_(readers_of(graph)),
        views_(views_of(graph, config.mode)),
        tensors_(graph.nodes.size()),
        owner_(graph.nodes.size()),
        leaves_(graph.nodes.size()),
        let_go_after_(graph.nodes.size()) {
    for (const uint32_t output : graph.outputs) leaves_[output] = true;
    for (uint32_t i = 0; i < graph.nodes.size(); ++i) widths_.push_back(width_of(i));
  }

  MemoryUse run() {
    take_weights();
    // Before anything is freed, for what was measured shows no result that was cut up for it.
    for (const OperatorNode& node : graph_.nodes) {
      workspace(forward_workspace_, multiplies(node.op));
    }
    kept_.push_back(take(graph_.given_elements * stored_));
    for (int step = 0; step < kSteps; ++step) {
      gradients_.clear();
      for (Tensor& tensor : tensors_) tensor = {};
      for (uint32_t i = 0; i < owner_.size(); ++i) owner_[i] = i;
      for (uint32_t i = 0; i < graph_.nodes.size(); ++i) forward(i);
      if (!trains_) continue;
      backward();
      optimize();
    }
    use_.most = allocator_.most_taken();
    use_.reserved = allocator_.reserved();
    return use_;
  }

 private:
  struct Tensor {
    Held block;                // its result
    Held index;                // where maxima were, a mask
    std::vector<Held> copies;  // of inputs, and of weights, in other numbers
    uint32_t waits = 0;        // readers that have not run
    bool saved = false;        // a gradient needs it
  };

  Held take(uint64_t bytes) { return std::make_shared<Lent>(allocator_, bytes); }
  uint64_t bytes(uint32_t i) const { return graph_.nodes[i].output_elements * widths_[i]; }

  // Bytes of an element of its result.
  uint64_t width_of(uint32_t i) const {
    const OperatorNode& node = graph_.nodes[i];
    if (node.element_bytes != 4 && node.element_bytes != 2) return node.element_bytes;
    if (!autocast_) return stored_;
    const auto inputs = graph_.inputs_of(i);
    switch (autocast_of(node.op)) {
      case Autocast::kHalf:
        return 2;
      case Autocast::kFull:
        return 4;
      case Autocast::kFirst:
        return inputs.empty() ? 4 : widths_[inputs[0]];
      case Autocast::kWidest:
        break;
    }
    if (inputs.empty() || node.parameters > 0) return 4;
    uint64_t widest = 2;
    for (const uint32_t input : inputs) {
      if (graph_.nodes[input].element_bytes > 1) widest = std::max(widest, widths_[input]);
    }
    return widest;
  }

  // In which it computes.
  uint64_t inside_width(uint32_t i) const {
    if (!autocast_) return stored_;
    const Autocast cast = autocast_of(graph_.nodes[i].op);
    return cast == Autocast::kHalf ? 2 : cast == Autocast::kFull ? 4 : widths_[i];
  }
  // Of one input, as far as it is read: of a split's results this may be one.
  uint64_t read_elements(uint32_t i, uint32_t input) const {
    uint64_t others = 0;
    for (const uint32_t other : graph_.inputs_of(i)) {
      if (other != input) others += graph_.nodes[other].output_elements;
    }
    const uint64_t all = graph_.nodes[i].input_elements;
    return std::min(all > others ? all - others : all, graph_.nodes[input].output_elements);
  }

  void take_weights() {
    for (const OperatorNode& node : graph_.nodes) {
      const uint64_t own = node.parameters - node.shared;
      if (own == 0) continue;
      kept_.push_back(take(own * stored_));
      use_.weights += own * stored_ * (trains_ ? 2 + states_of(config_.optimizer) : 1);
    }
  }

  // That of the library of products, which each thread keeps.
  void workspace(Held& held, bool needed) {
    if (needed && !held && product_workspace_ > 0) held = take(product_workspace_);
  }
  static bool multiplies(Operator op) {
    return op == Operator::kDense || op == Operator::kBatchedMultiply || op == Operator::kEinsum;
  }

  // For a moment: tensor cores read and write channels last, and bring both into that order.
  void convolve(uint32_t i) {
    const OperatorNode& node = graph_.nodes[i];
    const bool convolution =
        node.op == Operator::kConvolution || node.op == Operator::kTransposedConvolution;
    const bool depthwise =
        node.shape.size() > 1 && node.window.groups > 1 && node.window.groups >= node.shape[1];
    const bool point = node.window.kernel == Window{}.kernel;
    if (!convolution || depthwise || point || config_.channels_last) return;
    if (config_.format == NumberFormat::kFp32) return;
    take((node.input_elements + node.output_elements) * inside_width(i));
  }

  // Its input's memory, if that is nobody else's.
  bool in_place(uint32_t i) const {
    const Operator op = graph_.nodes[i].op;
    const auto inputs = graph_.inputs_of(i);
    if (inputs.size() != 1) return false;
    const uint32_t input = inputs[0];
    const bool bounded =
        op == Operator::kRelu || op == Operator::kClip || op == Operator::kHardSwish;
    // As image models do it.
    const bool gated = op == Operator::kSilu && graph_.nodes[input].op == Operator::kBatchNorm;
    if (!bounded && !gated) return false;
    if (readers_[input].size() != 1 || owner_[input] != input || leaves_[input]) return false;
    const bool overwrites_saved = saved_by(graph_.nodes[input].op).output || saved_by(op).input;
    return !keeps_ || !overwrites_saved;
  }

  void forward(uint32_t i) {
    const auto inputs = graph_.inputs_of(i);
    if (!views_[i]) copy_inputs(i);
    if (views_[i] || in_place(i)) {
      owner_[i] = owner_[inputs[0]];
    } else {
      tensors_[i].block = take(bytes(i));
    }
    convolve(i);
    Tensor& result = tensors_[owner_[i]];
    result.waits += static_cast<uint32_t>(readers_[i].size()) + (leaves_[i] && !trains_ ? 1 : 0);
    if (!views_[i]) save(i);
    for (const uint32_t input : inputs) {
      Tensor& read = tensors_[owner_[input]];
      --read.waits;
      free_unless_needed(read);
    }
    if (!graph_.held_until.empty() && graph_.held_until[i] > i) {
      ++result.waits;
      let_go_after_[graph_.held_until[i]].push_back(owner_[i]);
    }
    free_unless_needed(result);
    for (const uint32_t held : let_go_after_[i]) {
      --tensors_[held].waits;
      free_unless_needed(tensors_[held]);
    }
    let_go_after_[i].clear();
  }

  // Copies of inputs and weights: in the numbers that autocast wants, or in the order that products
  // of many matrices want.
  void copy_inputs(uint32_t i) {
    const OperatorNode& node = graph_.nodes[i];
    const uint64_t inside = inside_width(i);
    const auto inputs = graph_.inputs_of(i);
    if (inputs.empty() && inside < stored_) {
      tensors_[i].copies.push_back(take(node.input_elements * inside));
    }
    for (const uint32_t input : inputs) {
      if (!copies(i, input)) continue;
      tensors_[i].copies.push_back(take(read_elements(i, input) * inside));
    }
    if (node.parameters > 0 && inside < stored_) {
      tensors_[i].copies.push_back(take(node.parameters * inside));
    }
  }
  bool casts(uint32_t i, uint32_t input) const {
    const Autocast cast = autocast_of(graph_.nodes[i].op);
    return autocast_ && (cast == Autocast::kHalf || cast == Autocast::kFull) &&
           graph_.nodes[input].element_bytes > 1 && widths_[input] != inside_width(i);
  }
  bool copies(uint32_t i, uint32_t input) const {
    const bool reorders = graph_.nodes[i].op == Operator::kBatchedMultiply && views_[input];
    return reorders || casts(i, input);
  }

  void save(uint32_t i) {
    const OperatorNode& node = graph_.nodes[i];
    const Saved saved = saved_by(node.op);
    const auto inputs = graph_.inputs_of(i);
    // Products with a constant need no more than that.
    const bool scales = (node.op == Operator::kMultiply || node.op == Operator::kDivide) &&
                        inputs.size() == 1 && node.parameters <= 1;
    const bool gates = node.op == Operator::kRecurrent;  // only training has a use for them
    if (saved.index_bytes > 0 && (trains_ || !gates))
      tensors_[i].index = take(node.output_elements * saved.index_bytes);
    if (!keeps_) {
      tensors_[i].index.reset();
      tensors_[i].copies.clear();
      return;
    }
    if (saved.output) tensors_[owner_[i]].saved = true;
    if (!saved.input || scales) {
      if (!saved.input) tensors_[i].copies.clear();
      return;
    }
    for (const uint32_t input : inputs) {
      if (!copies(i, input)) tensors_[owner_[input]].saved = true;
    }
  }

  void free_unless_needed(Tensor& tensor) {
    if (tensor.waits == 0 && !tensor.saved) tensor.block.reset();
  }

  // From the last node to the first: a gradient for each input and for the weights, which stay,
  // then what was saved goes.
  void backward() {
    std::vector<Held> gradient(graph_.nodes.size());
    lose(gradient);
    for (uint32_t i = static_cast<uint32_t>(graph_.nodes.size()); i-- > 0;) {
      if (gradient[i]) {
        workspace(backward_workspace_, multiplies(graph_.nodes[i].op));
        convolve(i);
        for (const uint32_t input : graph_.inputs_of(i)) pass_on(i, input, gradient);
        weights_gradient(i);
        gradient[i].reset();
      }
      tensors_[i] = {};
    }
  }

  // Cross entropy of the largest result: its logarithms, in FP32, then the gradients of both.
  void lose(std::vector<Held>& gradient) {
    if (graph_.outputs.empty()) return;
    const uint32_t last = *std::max_element(
        graph_.outputs.begin(), graph_.outputs.end(), [&](uint32_t a, uint32_t b) {
          return graph_.nodes[a].output_elements < graph_.nodes[b].output_elements;
        });
    const uint64_t wide = graph_.nodes[last].output_elements * 4;
    Held cast = widths_[last] < 4 ? take(wide) : nullptr;
    const Held logarithms = take(wide);
    cast.reset();
    free_unless_needed(tensors_[owner_[last]]);
    Held of_logarithms = take(wide);
    Held of_scores = take(wide);
    of_logarithms.reset();
    gradient[last] = widths_[last] < 4 ? take(bytes(last)) : std::move(of_scores);
  }

  bool hands_on(uint32_t i, uint32_t input) const {
    const Operator op = graph_.nodes[i].op;
    const bool same = bytes(i) == bytes(input);
    return same && (op == Operator::kAdd || (views_[i] && op != Operator::kSlice));
  }

  void pass_on(uint32_t i, uint32_t input, std::vector<Held>& gradient) {
    Held made;
    if (hands_on(i, input)) {
      made = gradient[i];
    } else {
      const uint64_t elements = graph_.nodes[input].output_elements;
      made = take(elements * (casts(i, input) ? inside_width(i) : widths_[input]));
      if (casts(i, input)) made = take(elements * widths_[input]);
    }
    Held& sum = gradient[input];
    if (!sum) {
      sum = std::move(made);
    } else if (sum.use_count() > 1) {  // somebody else's too: not to be added to
      sum = take(bytes(input));
    }
  }

  void weights_gradient(uint32_t i) {
    const uint64_t parameters = graph_.nodes[i].parameters;
    if (parameters == 0) return;
    const Held narrow = inside_width(i) < stored_ ? take(parameters * inside_width(i)) : nullptr;
    Held made = take(parameters * stored_);
    if (graph_.nodes[i].shared == 0) gradients_.push_back(std::move(made));
  }

  // Its numbers are taken after the first step. Adam divides by roots of all its second moments at
  // once: they lie there for a moment.
  void optimize() {
    std::vector<Held> roots;
    const bool first = states_.empty();
    for (const OperatorNode& node : graph_.nodes) {
      if (node.parameters == node.shared) continue;
      for (uint64_t state = 0; first && state < states_of(config_.optimizer); ++state) {
        states_.push_back(take((node.parameters - node.shared) * 4));
      }
    }
    for (const OperatorNode& node : graph_.nodes) {
      if (node.parameters == node.shared || config_.optimizer != Optimizer::kAdam) continue;
      roots.push_back(take((node.parameters - node.shared) * 4));
    }
  }

  const OperatorGraph& graph_;
  const RunConfig& config_;
  const uint64_t product_workspace_;
  const bool trains_, keeps_, autocast_;
  const uint64_t stored_;  // bytes of a weight
  const std::vector<std::vector<uint32_t>> readers_;
  const std::vector<bool> views_;
  std::vector<uint64_t> widths_;
  CachingAllocator allocator_;  // outlives what is taken from it
  std::vector<Tensor> tensors_;
  std::vector<uint32_t> owner_;                      // whose memory each result is in
  std::vector<bool> leaves_;                         // the model with the result
  std::vector<std::vector<uint32_t>> let_go_after_;  // results that are held until then
  std::vector<Held> kept_, gradients_, states_;
  Held forward_workspace_, backward_workspace_;
  MemoryUse use_;
};

}  // namespace

MemoryUse memory_use(const OperatorGraph& graph, const RunConfig& config,
                     uint64_t product_workspace) {
  return Job(graph, config, product_workspace).run();
}

}  // namespace auspex
