// SPDX-License-Identifier: Apache-2.0
#include "graph/onnx_shapes.h"

#include <onnx/defs/schema.h>
#include <onnx/defs/shape_inference.h>

#include <algorithm>
#include <deque>
#include <exception>

namespace auspex {
namespace {

using onnx::NodeProto;
using onnx::TypeProto;

constexpr uint64_t kMostElements = uint64_t{1} << 48;
// The library's newest; later ones differ in what is said below.
constexpr int kNewestOpset = 17;
constexpr int kReduceAxesOpset = 18;

bool valid(const std::vector<int64_t>& shape) {
  uint64_t count = 1;
  for (const int64_t dim : shape) {
    if (dim < 0 || static_cast<uint64_t>(dim) > kMostElements) return false;
    count *= std::max<uint64_t>(1, static_cast<uint64_t>(dim));
    if (count > kMostElements) return false;
  }
  return true;
}

std::string text_of(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t dim : shape) text += (text.empty() ? "" : "x") + std::to_string(dim);
  return "[" + text + "]";
}

std::string name_of(const NodeProto& node) {
  const std::string name =
      node.name().empty() && node.output_size() > 0 ? node.output(0) : node.name();
  return node.op_type() + " '" + name.substr(0, 100) + "'";
}

// The library reads the dimensions of windows without counting them.
Status check_window(const NodeProto& node, const std::vector<const KnownTensor*>& inputs) {
  const std::string& op = node.op_type();
  const bool weighted = op == "Conv" || op == "ConvTranspose";
  if (!weighted && !op.ends_with("Pool")) return Done{};
  for (const char* const name : {"kernel_shape", "strides", "dilations"}) {
    for (const int64_t size : attribute_list(node, name)) {
      if (size < 1) return Error{name_of(node) + ": " + name + " of " + std::to_string(size)};
    }
  }
  if (inputs.empty() || !inputs[0] || !inputs[0]->has_shape) return Done{};
  const size_t rank = inputs[0]->shape.size();
  if (rank < 2) return Error{name_of(node) + ": its input has shape " + text_of(inputs[0]->shape)};
  if (weighted && (inputs.size() < 2 || !inputs[1] || inputs[1]->shape.size() != rank)) {
    return Error{name_of(node) + ": its weights do not fit " + text_of(inputs[0]->shape)};
  }
  return Done{};
}

TypeProto type_of(const KnownTensor& tensor) {
  TypeProto type;
  auto& inside = *type.mutable_tensor_type();
  inside.set_elem_type(tensor.type);
  if (tensor.has_shape) {
    inside.mutable_shape();
    for (const int64_t dim : tensor.shape) inside.mutable_shape()->add_dim()->set_dim_value(dim);
  }
  return type;
}

KnownTensor tensor_of(const TypeProto& type) {
  KnownTensor known;
  if (!type.has_tensor_type()) return known;
  known.type = type.tensor_type().elem_type();
  known.has_shape = type.tensor_type().has_shape();
  for (const auto& dim : type.tensor_type().shape().dim()) {
    known.has_shape &= dim.has_dim_value();
    known.shape.push_back(dim.dim_value());
  }
  if (!known.has_shape) known.shape.clear();
  return known;
}

// "bhid,bhjd->bhij": the library tells the number of dimensions alone. Without one: no shape.
KnownTensor einsum_result(const NodeProto& node, const std::vector<const KnownTensor*>& inputs) {
  KnownTensor out;
  const auto* equation = attribute(node, "equation");
  const size_t arrow = equation ? equation->s().find("->") : std::string::npos;
  if (arrow == std::string::npos) return out;
  std::unordered_map<char, int64_t> sizes;
  size_t input = 0, place = 0;
  for (const char index : std::string_view(equation->s()).substr(0, arrow)) {
    if (index == ' ') continue;
    if (index == ',') {
      ++input;
      place = 0;
    } else if (input < inputs.size() && inputs[input] && place < inputs[input]->shape.size()) {
      sizes[index] = inputs[input]->shape[place++];
    }
  }
  for (const char index : std::string_view(equation->s()).substr(arrow + 2)) {
    if (index == ' ') continue;
    const auto found = sizes.find(index);
    if (found == sizes.end()) return {};
    out.shape.push_back(found->second);
  }
  out.has_shape = true;
  return out;
}

// What a schema's function asks of one node.
class NodeContext final : public onnx::InferenceContext {
 public:
  // inputs: nullptr for those left out.
  NodeContext(const NodeProto& node, const std::vector<const KnownTensor*>& inputs, int opset)
      : node_(node), outputs_(node.output_size()) {
    for (const KnownTensor* input : inputs) {
      types_.push_back(input ? type_of(*input) : TypeProto());
      data_.emplace_back();
      if (input && input->values) data_.back() = tensor_proto(*input->values);
      there_.push_back(input != nullptr);
    }
    if (opset >= kReduceAxesOpset && node.op_type().starts_with("Reduce") &&
        node.op_type() != "ReduceSum") {
      take_axes_from_input();
    }
  }

  const onnx::AttributeProto* getAttribute(const std::string& name) const override {
    if (axes_.ints_size() > 0 && name == "axes") return &axes_;
    return attribute(node_, name.c_str());
  }
  size_t getNumInputs() const override { return types_.size(); }
  const TypeProto* getInputType(size_t i) const override {
    return i < types_.size() && there_[i] ? &types_[i] : nullptr;
  }
  const onnx::TensorProto* getInputData(size_t i) const override {
    return i < data_.size() && data_[i] ? &*data_[i] : nullptr;
  }
  size_t getNumOutputs() const override { return outputs_.size(); }
  TypeProto* getOutputType(size_t i) override { return &outputs_.at(i); }
  onnx::GraphInferencer* getGraphAttributeInferencer(const std::string&) override {
    return nullptr;
  }
  const onnx::SparseTensorProto* getInputSparseData(size_t) const override { return nullptr; }
  const onnx::TensorShapeProto* getSymbolicInput(size_t) const override { return nullptr; }

 private:
  // Since opset 18 axes are an input; before it, an attribute.
  void take_axes_from_input() {
    if (types_.size() < 2) return;
    axes_.set_name("axes");
    axes_.set_type(onnx::AttributeProto::INTS);
    if (data_[1]) {
      for (const int64_t axis : data_[1]->int64_data()) axes_.add_ints(axis);
    }
    types_.resize(1);
  }

  const NodeProto& node_;
  std::vector<TypeProto> types_;
  std::vector<std::optional<onnx::TensorProto>> data_;
  std::vector<bool> there_;
  std::vector<TypeProto> outputs_;
  onnx::AttributeProto axes_;
};

class Walk {
 public:
  Walk(const onnx::ModelProto& model, const ModelInput& input)
      : graph_(model.graph()), input_(input) {
    for (const auto& set : model.opset_import()) {
      if (set.domain().empty() || set.domain() == "ai.onnx")
        opset_ = static_cast<int>(set.version());
    }
  }

  Result<InferredShapes> run() {
    for (const auto& weight : graph_.initializer()) {
      KnownTensor known{weight.data_type(), true, true, {}, small_tensor(weight)};
      known.shape.assign(weight.dims().begin(), weight.dims().end());
      if (!valid(known.shape)) {
        return Error{"weight '" + weight.name() + "': shape " + text_of(known.shape)};
      }
      out_.tensors[weight.name()] = std::move(known);
    }
    for (const auto& given : graph_.input()) {
      if (out_.tensors.contains(given.name())) continue;  // a weight, in old files
      const Status bound = bind(given);
      if (!bound) return bound.error();
    }
    Status sorted = sort();
    if (!sorted) return sorted.error();
    for (const NodeProto* node : out_.order) {
      const Status inferred = infer(*node);
      if (!inferred) return inferred.error();
    }
    return std::move(out_);
  }

 private:
  Status bind(const onnx::ValueInfoProto& given) {
    const std::string name = "input '" + given.name().substr(0, 100) + "'";
    if (!given.type().has_tensor_type()) return Error{name + " is no tensor"};
    const auto& type = given.type().tensor_type();
    if (!type.has_shape()) return Error{name + " has no shape in the file"};
    KnownTensor known{type.elem_type(), true, false, {}, {}};
    size_t open = 0;
    for (int i = 0; i < type.shape().dim_size(); ++i) {
      const auto& dim = type.shape().dim(i);
      const bool fixed = dim.has_dim_value() && dim.dim_value() > 0;
      const auto batch = static_cast<int64_t>(input_.batch);
      if (i == 0 && fixed && dim.dim_value() != batch) {
        return Error{name + " has batches of " + std::to_string(dim.dim_value()) +
                     " in the file, not of " + std::to_string(batch)};
      }
      if (fixed || i == 0) {
        known.shape.push_back(fixed ? dim.dim_value() : batch);
        const auto place = static_cast<size_t>(i) - 1;
        if (i > 0 && place < input_.sample.size() && whole_sample(type.shape()) &&
            input_.sample[place] != dim.dim_value()) {
          return Error{name + " has " + std::to_string(dim.dim_value()) + " in the file where " +
                       std::to_string(input_.sample[place]) + " was given"};
        }
        continue;
      }
      // Every other dimension was given, or those that are open.
      const size_t place = whole_sample(type.shape()) ? static_cast<size_t>(i) - 1 : open++;
      if (place >= input_.sample.size()) {
        const std::string called = dim.dim_param().empty() ? std::to_string(i) : dim.dim_param();
        return Error{name + ": dimension '" + called.substr(0, 100) + "' is open; give input="};
      }
      known.shape.push_back(input_.sample[place]);
    }
    if (!valid(known.shape)) return Error{name + ": shape " + text_of(known.shape)};
    out_.tensors[given.name()] = std::move(known);
    return Done{};
  }

  // "3x224x224" for an input of four dimensions: the fixed ones are named as well.
  bool whole_sample(const onnx::TensorShapeProto& shape) const {
    return static_cast<int>(input_.sample.size()) == shape.dim_size() - 1;
  }

  // ONNX asks for this order; not every file keeps to it.
  Status sort() {
    std::unordered_map<std::string_view, int> maker;
    for (int i = 0; i < graph_.node_size(); ++i) {
      for (const std::string& output : graph_.node(i).output()) {
        if (!output.empty()) maker.emplace(output, i);
      }
    }
    std::vector<uint32_t> waits(static_cast<size_t>(graph_.node_size()));
    std::vector<std::vector<int>> readers(waits.size());
    std::deque<int> ready;
    for (int i = 0; i < graph_.node_size(); ++i) {
      for (const std::string& input : graph_.node(i).input()) {
        const auto found = maker.find(input);
        if (found == maker.end()) continue;
        readers[static_cast<size_t>(found->second)].push_back(i);
        ++waits[static_cast<size_t>(i)];
      }
      if (waits[static_cast<size_t>(i)] == 0) ready.push_back(i);
    }
    while (!ready.empty()) {
      const int next = ready.front();
      ready.pop_front();
      out_.order.push_back(&graph_.node(next));
      for (const int reader : readers[static_cast<size_t>(next)]) {
        if (--waits[static_cast<size_t>(reader)] == 0) ready.push_back(reader);
      }
    }
    if (out_.order.size() != waits.size()) return Error{"the graph has a cycle"};
    return Done{};
  }

  Status infer(const NodeProto& node) {
    std::vector<const KnownTensor*> inputs;
    std::vector<const SmallTensor*> values;
    std::vector<KnownShape> shapes;
    for (const std::string& name : node.input()) {
      const auto found = out_.tensors.find(name);
      const KnownTensor* known = found == out_.tensors.end() ? nullptr : &found->second;
      if (!known && !name.empty()) {
        return Error{name_of(node) + ": its input '" + name.substr(0, 100) +
                     "' comes from nowhere"};
      }
      inputs.push_back(known);
      values.push_back(known && known->values ? &*known->values : nullptr);
      shapes.push_back(known && known->has_shape ? &known->shape : nullptr);
    }
    if (auto result = evaluate(node, values, shapes); result && node.output_size() == 1) {
      KnownTensor known{result->type, true, false, result->shape, std::move(result)};
      out_.tensors[node.output(0)] = std::move(known);
      return Done{};
    }
    return infer(node, inputs);
  }

  // The library has no inference for two operators that it defines by others.
  static std::string described(const std::string& type) {
    if (type == "LessOrEqual") return "Less";
    return type == "GreaterOrEqual" ? "Greater" : type;
  }

  Status infer(const NodeProto& node, const std::vector<const KnownTensor*>& inputs) {
    if (const Status fits = check_window(node, inputs); !fits) return fits;
    NodeContext context(node, inputs, opset_);
    const bool standard = node.domain().empty() || node.domain() == "ai.onnx";
    const onnx::OpSchema* schema =
        standard ? onnx::OpSchemaRegistry::Schema(described(node.op_type()),
                                                  std::min(opset_, kNewestOpset), "")
                 : nullptr;
    if (schema && schema->has_type_and_shape_inference_function()) {
      try {
        schema->GetTypeAndShapeInferenceFunction()(context);
      } catch (const std::exception& exception) {
        return Error{name_of(node) + ": " + exception.what()};
      }
    }
    for (int i = 0; i < node.output_size(); ++i) {
      if (node.output(i).empty()) continue;
      KnownTensor known = node.op_type() == "Einsum"
                              ? einsum_result(node, inputs)
                              : tensor_of(*context.getOutputType(static_cast<size_t>(i)));
      const KnownTensor* like = inputs.empty() ? nullptr : inputs[0];
      if (!schema && like) {  // what the library does not know is taken to keep its shape
        known.shape = like->shape;
        known.has_shape = like->has_shape;
      }
      if (known.type == onnx::TensorProto::UNDEFINED && like) known.type = like->type;
      if (known.has_shape && !valid(known.shape)) {
        return Error{name_of(node) + ": shape " + text_of(known.shape)};
      }
      if (i == 0 && !known.has_shape) {
        return Error{name_of(node) + ": the shape of its result depends on data"};
      }
      out_.tensors[node.output(i)] = std::move(known);
    }
    return Done{};
  }

  const onnx::GraphProto& graph_;
  const ModelInput& input_;
  int opset_ = kNewestOpset;
  InferredShapes out_;
};

}  // namespace

Result<InferredShapes> infer_shapes(const onnx::ModelProto& model, const ModelInput& input) {
  return Walk(model, input).run();
}

}  // namespace auspex
