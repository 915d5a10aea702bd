// SPDX-License-Identifier: Apache-2.0
#include "graph/onnx_graph.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "graph/fuse.h"
#include "graph/module_calls.h"
#include "graph/onnx_shapes.h"
#include "graph/operator_kinds.h"

namespace auspex {
namespace {

using onnx::NodeProto;

bool is_float(int32_t type) {
  using onnx::TensorProto;
  return type == TensorProto::FLOAT || type == TensorProto::FLOAT16 ||
         type == TensorProto::BFLOAT16 || type == TensorProto::DOUBLE ||
         type == TensorProto::INT8 || type == TensorProto::UINT8;
}

// Running means and variances are none, nor is an epsilon.
bool is_parameter(const NodeProto& node, int input, const KnownTensor& tensor) {
  const bool statistic = node.op_type() == "BatchNormalization" && input >= 3;
  return tensor.weight && is_float(tensor.type) && !tensor.shape.empty() && !statistic;
}

class Builder {
 public:
  Builder(const onnx::ModelProto& model, InferredShapes shapes)
      : model_(model), shapes_(std::move(shapes)) {}

  OperatorGraph build() {
    for (const NodeProto* node : shapes_.order) add(*node);
    for (const auto& output : model_.graph().output()) {
      const auto made = maker_.find(output.name());
      if (made != maker_.end()) drafts_[made->second].leaves = true;
    }
    fuse(drafts_);
    emit();
    return std::move(graph_);
  }

 private:
  const KnownTensor* known(const std::string& name) const {
    const auto found = shapes_.tensors.find(name);
    return found == shapes_.tensors.end() ? nullptr : &found->second;
  }

  bool constant(const std::string& name) const {
    const KnownTensor* tensor = known(name);
    return name.empty() || (tensor && (tensor->weight || tensor->values));
  }

  void add(const NodeProto& node) {
    if (node.output_size() == 0 || node.output(0).empty()) return;
    const auto& names = node.input();
    const bool fixed = constant(node.output(0)) ||
                       std::all_of(names.begin(), names.end(),
                                   [&](const std::string& name) { return constant(name); });
    if (fixed && operator_of(node.op_type()) != Operator::kRandom) {
      for (const std::string& output : node.output()) {
        shapes_.tensors[output].weight = true;
        for (const std::string& input : names) add_sources(output, input);
      }
      return;
    }
    const auto first = names.empty() ? maker_.end() : maker_.find(names[0]);
    if (only_renames(node.op_type()) && !drops(node)) {
      if (first == maker_.end()) return;
      maker_[node.output(0)] = first->second;
      const bool reshapes = node.op_type() == "Reshape" || node.op_type() == "Flatten";
      if (reshapes) drafts_[first->second].node.reshaped = true;
      return;
    }
    draft(node);
  }

  // A dropout does nothing, unless its third input says that the model is being trained, nor where
  // its second says that nothing is dropped.
  bool drops(const NodeProto& node) const {
    const auto zero = [&](int input) {
      const KnownTensor* tensor = node.input_size() > input ? known(node.input(input)) : nullptr;
      return tensor && tensor->values && !tensor->values->values.empty() &&
             tensor->values->values[0] == 0;
    };
    return node.op_type() == "Dropout" && node.input_size() > 2 && !zero(1) && !zero(2);
  }

  void draft(const NodeProto& node) {
    DraftNode draft;
    std::vector<const KnownTensor*> inputs;
    for (int i = 0; i < node.input_size(); ++i) {
      const std::string& name = node.input(i);
      const KnownTensor* tensor = name.empty() ? nullptr : known(name);
      inputs.push_back(tensor);
      if (!tensor) continue;
      if (is_parameter(node, i, *tensor)) {
        const uint64_t parameters = parameters_in(name, *tensor), before = graph_.parameters;
        count_weights(name);
        draft.node.parameters += parameters;
        draft.node.shared += parameters - std::min(parameters, graph_.parameters - before);
      }
      if (constant(name)) continue;
      const auto made = maker_.find(name);
      if (made != maker_.end()) read(made->second, draft);
    }
    const uint64_t parameters = draft.node.parameters, shared = draft.node.shared;
    const KnownTensor* output = known(node.output(0));
    draft.node = operator_node(node, inputs, *output);
    draft.node.parameters = parameters;
    draft.node.shared = shared;
    std::set<std::string_view> seen;
    for (const std::string& name : node.input()) {
      if (constant(name) || !seen.insert(name).second) continue;
      draft.node.input_elements += elements_of(known(name)->shape);
    }
    for (const std::string& name : node.output()) {
      if (const KnownTensor* made = name.empty() ? nullptr : known(name)) {
        draft.node.output_elements += made->has_shape ? elements_of(made->shape) : 0;
      }
      if (node.op_type() == "Dropout") break;  // its mask is a byte
    }
    if (draft.node.op == Operator::kUnknown) unknown_.insert(node.op_type());
    draft.type = node.op_type();
    draft.name = node.name();
    for (const std::string& output_name : node.output()) {
      maker_[output_name] = static_cast<uint32_t>(drafts_.size());
    }
    drafts_.push_back(std::move(draft));
  }

  // Once, however often the node names it.
  void read(uint32_t made, DraftNode& draft) {
    const auto reader = static_cast<uint32_t>(drafts_.size()) + 1;
    last_reader_.resize(drafts_.size());
    if (std::exchange(last_reader_[made], reader) != reader) draft.inputs.push_back(made);
  }

  // What is computed from weights alone counts as those that it is computed from.
  void add_sources(const std::string& output, const std::string& input) {
    std::set<std::string_view>& sources = sources_[output];
    const auto found = sources_.find(input);
    if (found != sources_.end()) {
      sources.insert(found->second.begin(), found->second.end());
    } else if (!input.empty() && constant(input)) {  // a shape's is of activations, perhaps
      sources.insert(input);
    }
  }

  // A mask that is computed from a few numbers has no more parameters than those.
  uint64_t parameters_in(const std::string& name, const KnownTensor& tensor) {
    const uint64_t elements = elements_of(tensor.shape);
    const auto computed = sources_.find(name);
    if (computed == sources_.end()) return elements;
    uint64_t sources = 0;
    for (const std::string_view source : computed->second) {
      sources += std::min(elements, elements_of(shapes_.tensors[source].shape));
    }
    return std::min(elements, sources);
  }

  void count_weights(const std::string& name) {
    const auto computed = sources_.find(name);
    if (computed == sources_.end()) return count_weight(name);
    for (const std::string_view source : computed->second) count_weight(source);
  }

  void count_weight(std::string_view name) {
    const KnownTensor& tensor = shapes_.tensors[name];
    if (!is_float(tensor.type) || tensor.shape.empty() || !counted_.insert(name).second) return;
    graph_.parameters += elements_of(tensor.shape);
    graph_.parameter_bytes += elements_of(tensor.shape) * bytes_of_type(tensor.type);
  }

  void emit() {
    std::vector<uint32_t> place(drafts_.size());
    std::vector<std::string_view> names;
    for (size_t i = 0; i < drafts_.size(); ++i) {
      DraftNode& draft = drafts_[i];
      if (draft.gone) continue;
      place[i] = static_cast<uint32_t>(graph_.nodes.size());
      for (const uint32_t input : draft.inputs) graph_.inputs.push_back(place[input]);
      graph_.first_input.push_back(static_cast<uint32_t>(graph_.inputs.size()));
      if (draft.leaves) graph_.outputs.push_back(place[i]);
      graph_.nodes.push_back(std::move(draft.node));
      names.push_back(draft.name);
    }
    graph_.held_until = held_by_modules(graph_, names);
    graph_.unknown.assign(unknown_.begin(), unknown_.end());
    for (const auto& input : model_.graph().input()) {
      const KnownTensor* tensor = known(input.name());
      if (tensor && !tensor->weight) graph_.given_elements += elements_of(tensor->shape);
    }
  }

  const onnx::ModelProto& model_;
  InferredShapes shapes_;
  std::unordered_map<std::string_view, uint32_t> maker_;  // tensor -> draft
  std::vector<DraftNode> drafts_;
  std::vector<uint32_t> last_reader_;  // of each draft's result; 0: nobody yet
  std::set<std::string> unknown_;
  std::set<std::string_view> counted_;
  std::unordered_map<std::string_view, std::set<std::string_view>> sources_;  // initializers
  OperatorGraph graph_;
};

}  // namespace

Result<OperatorGraph> read_onnx(int fd, const ModelInput& input, const OnnxLimits& limits) {
  const Result<std::string> skeleton = onnx_skeleton(fd, limits);
  if (!skeleton) return skeleton.error();
  onnx::ModelProto model;
  if (!model.ParseFromString(*skeleton) || !model.has_graph()) {
    return Error{"not an ONNX model: it has no graph"};
  }
  if (model.opset_import().empty()) return Error{"not an ONNX model: it names no operator set"};
  if (model.graph().node_size() == 0) return Error{"its graph has no nodes"};
  Result<InferredShapes> shapes = infer_shapes(model, input);
  if (!shapes) return shapes.error();
  OperatorGraph graph = Builder(model, std::move(*shapes)).build();
  graph.batch = input.batch;
  return graph;
}

}  // namespace auspex
