// SPDX-License-Identifier: Apache-2.0
#include "graph/fuse.h"

#include <algorithm>
#include <optional>

namespace auspex {
namespace {

using Id = uint32_t;
using Found = std::optional<Id>;

class Fusing {
 public:
  explicit Fusing(std::vector<DraftNode>& drafts) : drafts_(drafts), readers_(drafts.size()) {
    for (Id i = 0; i < drafts.size(); ++i) {
      for (const Id input : drafts[i].inputs) readers_[input].push_back(i);
    }
  }

  void run() {
    for (Id i = 0; i < drafts_.size(); ++i) {
      const std::string_view type = drafts_[i].type;
      if (type == "Sigmoid") gate(i, Operator::kSilu);
      if (type == "HardSigmoid") gate(i, Operator::kHardSwish);
      if (type == "Erf") gelu(i);
      if (type == "Tanh") tanh_gelu(i);
      if (type == "Sqrt") layer_norm(i);
      if (type == "InstanceNormalization") group_norm(i);
      if (type == "MatMul") bias(i);
      if (type == "Softmax") attention(i);
    }
  }

 private:
  bool is(Found i, std::string_view type) const { return i && drafts_[*i].type == type; }

  // The one that reads its result, if nobody else does.
  Found only_reader(Found i) const {
    if (!i || readers_[*i].size() != 1 || drafts_[*i].leaves) return {};
    return readers_[*i][0];
  }
  Found only_input(Found i) const {
    if (!i || drafts_[*i].inputs.size() != 1) return {};
    return drafts_[*i].inputs[0];
  }
  bool reads(Found i, Id input) const {
    if (!i) return false;
    const std::vector<Id>& inputs = drafts_[*i].inputs;
    return std::find(inputs.begin(), inputs.end(), input) != inputs.end();
  }

  // Whether nothing outside of the pattern reads what is inside of it.
  bool closed(Id last, std::initializer_list<Found> others) const {
    const auto inside = [&](Id i) {
      return i == last || std::find(others.begin(), others.end(), Found(i)) != others.end();
    };
    return std::all_of(others.begin(), others.end(), [&](Found other) {
      if (!other || *other == last) return true;
      const std::vector<Id>& readers = readers_[*other];
      return !drafts_[*other].leaves && std::all_of(readers.begin(), readers.end(), inside);
    });
  }

  // `last` does the work of the others, from x, which may be the model's input.
  void become(Id last, Operator op, Found x, uint64_t input_elements,
              std::initializer_list<Found> others) {
    if (!closed(last, others)) return;
    DraftNode& whole = drafts_[last];
    for (const Found other : others) {
      if (!other || *other == last) continue;
      whole.node.parameters += drafts_[*other].node.parameters;
      whole.node.shared += drafts_[*other].node.shared;
      whole.node.macs += drafts_[*other].node.macs;
      drafts_[*other].gone = true;
    }
    whole.node.op = op;
    whole.node.input_elements = input_elements;
    whole.inputs.clear();
    if (x) whole.inputs.push_back(*x);
  }

  // Of the patterns in which x goes in and as much comes out.
  void take_whole(Id last, Operator op, Id x, std::initializer_list<Found> others) {
    become(last, op, x, drafts_[x].node.output_elements, others);
  }

  // x * f(x)
  void gate(Id f, Operator op) {
    const Found x = only_input(f), product = only_reader(f);
    if (!x || !is(product, "Mul") || !reads(product, *x)) return;
    if (drafts_[*product].inputs.size() == 2) take_whole(*product, op, *x, {f});
  }

  // x W + b
  void bias(Id product) {
    const Found sum = only_reader(product), x = only_input(product);
    const OperatorNode& node = drafts_[product].node;
    if (node.op != Operator::kDense || !is(sum, "Add") || node.shape.empty()) return;
    if (drafts_[*sum].node.parameters != static_cast<uint64_t>(node.shape.back())) return;
    become(*sum, Operator::kDense, x, node.input_elements, {product});
  }

  // x (1 + erf(x / sqrt 2)) / 2, halved at the end or at the start
  void gelu(Id erf) {
    const Found scaled = only_input(erf), x = only_input(scaled);
    const Found plus = only_reader(erf), product = only_reader(plus);
    if (!x || only_reader(scaled) != erf || !is(plus, "Add") || !is(product, "Mul")) return;
    if (reads(product, *x)) {
      const Found half = only_reader(product);
      const bool halved = is(half, "Mul") && drafts_[*half].inputs.size() == 1;
      take_whole(halved ? *half : *product, Operator::kGelu, *x, {scaled, erf, plus, product});
      return;
    }
    for (const Id half : drafts_[*product].inputs) {
      if (half != *plus && only_input(half) == x && only_reader(half) == product) {
        take_whole(*product, Operator::kGelu, *x, {scaled, erf, plus, half});
        return;
      }
    }
  }

  // x (1 + tanh(a (x + b x x x))) / 2. With a power in place of the products a framework runs the
  // parts one by one, and they stay apart.
  void tanh_gelu(Id tanh) {
    const Found scaled = only_input(tanh), sum = only_input(scaled);
    if (!is(scaled, "Mul") || !is(sum, "Add") || drafts_[*sum].inputs.size() != 2) return;
    for (const Id cubic : drafts_[*sum].inputs) {
      const Found cube = only_input(cubic);
      if (!is(cubic, "Mul") || !is(cube, "Mul") || drafts_[*cube].inputs.size() != 2) continue;
      for (const Id square : drafts_[*cube].inputs) {
        const Found x = only_input(square), plus = only_reader(tanh), product = only_reader(plus);
        if (!x || !is(square, "Mul") || !reads(cube, *x) || !reads(sum, *x)) continue;
        if (!is(plus, "Add") || !is(product, "Mul") || !reads(product, *x)) continue;
        const Found half = only_reader(product);
        const bool halved = is(half, "Mul") && drafts_[*half].inputs.size() == 1;
        take_whole(halved ? *half : *product, Operator::kGelu, *x,
                   {square, cube, cubic, sum, scaled, tanh, plus, product});
        return;
      }
    }
  }

  // A factor of an attention's scores, where PyTorch's exporter has written what is one kernel:
  // each is scaled by itself.
  Found scaled_source(Id factor) const {
    const Found source = only_input(factor);
    return is(factor, "Mul") && source && drafts_[factor].node.parameters <= 1 ? source : Found();
  }

  // softmax(q s (k s)^T + mask) v
  void attention(Id softmax) {
    const Found last = only_reader(softmax);
    if (!is(last, "MatMul") || drafts_[softmax].inputs.size() != 1) return;
    Id scores = drafts_[softmax].inputs[0];
    Found sum;
    std::vector<Id> inputs;
    if (is(scores, "Add")) {
      sum = scores;
      for (const Id input : drafts_[*sum].inputs) {
        is(input, "MatMul") ? void(scores = input) : inputs.push_back(input);
      }
    }
    if (!is(scores, "MatMul") || drafts_[scores].inputs.size() != 2) return;
    const Id query = drafts_[scores].inputs[0], key = drafts_[scores].inputs[1];
    const Found q = scaled_source(query), turned = scaled_source(key), k = only_input(turned);
    if (!q || !is(turned, "Transpose") || !k) return;
    if (!closed(*last, {query, key, turned, scores, sum, softmax})) return;
    inputs.insert(inputs.end(), {*q, *k});
    for (const Id input : drafts_[*last].inputs) {
      if (input != softmax) inputs.push_back(input);
    }
    std::sort(inputs.begin(), inputs.end());
    inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());
    const uint64_t elements = drafts_[scores].node.input_elements +
                              drafts_[*last].node.input_elements -
                              drafts_[softmax].node.output_elements;
    become(*last, Operator::kAttention, q, elements, {query, key, turned, scores, sum, softmax});
    drafts_[*last].inputs = std::move(inputs);
  }

  // Of groups as instances, times weights, plus biases
  void group_norm(Id instances) {
    const Found x = only_input(instances), scaled = only_reader(instances);
    const Found shifted = only_reader(scaled);
    if (!x || !is(scaled, "Mul") || !is(shifted, "Add")) return;
    if (drafts_[*scaled].inputs.size() != 1 || drafts_[*shifted].inputs.size() != 1) return;
    take_whole(*shifted, Operator::kGroupNorm, *x, {instances, scaled});
  }

  // (x - mean) / sqrt(mean((x - mean)^2) + epsilon), times weights, plus biases
  void layer_norm(Id root) {
    const Found sum = only_input(root), variance = only_input(sum), square = only_input(variance);
    const Found centred = only_input(square);
    if (!is(sum, "Add") || !is(variance, "ReduceMean") || !is(centred, "Sub")) return;
    const Found quotient = only_reader(root);
    if (!is(quotient, "Div") || !reads(quotient, *centred)) return;
    Found x, mean;
    for (const Id input : drafts_[*centred].inputs) (is(input, "ReduceMean") ? mean : x) = input;
    if (!x || !mean || only_input(mean) != x) return;
    const Found scaled = only_reader(quotient);
    const bool weighted = is(scaled, "Mul") && drafts_[*scaled].inputs.size() == 1;
    const Found shifted = weighted ? only_reader(scaled) : Found();
    const bool biased = is(shifted, "Add") && drafts_[*shifted].inputs.size() == 1;
    const Id last = biased ? *shifted : weighted ? *scaled : *quotient;
    take_whole(last, Operator::kLayerNorm, *x,
               {mean, centred, square, variance, sum, root, quotient, biased ? scaled : Found()});
  }

  std::vector<DraftNode>& drafts_;
  std::vector<std::vector<Id>> readers_;
};

}  // namespace

void fuse(std::vector<DraftNode>& drafts) {
  Fusing(drafts).run();
}

}  // namespace auspex
