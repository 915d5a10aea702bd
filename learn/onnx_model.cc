// SPDX-License-Identifier: Apache-2.0
#include "learn/onnx_model.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <span>

#include "shared/prediction.h"

namespace auspex {
namespace {

constexpr uint64_t kFloat = 1, kInt8 = 3, kInt64 = 7;  // TensorProto.DataType

// A protobuf message as it grows.
struct Message {
  std::string bytes;

  void number(uint32_t field, uint64_t value) {
    varint(field << 3);
    varint(value);
  }
  void text(uint32_t field, std::string_view value) {
    varint(field << 3 | 2);
    varint(value.size());
    bytes += value;
  }
  void message(uint32_t field, const Message& value) { text(field, value.bytes); }

 private:
  void varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(0x80 | (value & 0x7f));
    bytes += static_cast<char>(value);
  }
};

class Graph {
 public:
  // Shape: values [dims...]; none: a scalar.
  template <class Value>
  void tensor(std::string_view name, uint64_t type, std::span<const uint32_t> dims,
              std::span<const Value> values) {
    Message tensor;
    for (const uint32_t dim : dims) tensor.number(1, dim);
    tensor.number(2, type);
    tensor.text(8, name);
    tensor.text(9, {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
    graph_.message(5, tensor);
  }

  // attribute: one whole number, or none.
  void node(std::string_view operation, std::initializer_list<std::string> inputs,
            std::initializer_list<std::string> outputs, std::string_view attribute = "",
            uint64_t value = 0) {
    constexpr uint64_t kWhole = 2;  // AttributeProto.AttributeType.INT
    Message node;
    for (const std::string& input : inputs) node.text(1, input);
    for (const std::string& output : outputs) node.text(2, output);
    node.text(4, operation);
    if (!attribute.empty()) {
      Message one;
      one.text(1, attribute);
      one.number(3, value);
      one.number(20, kWhole);
      node.message(5, one);
    }
    graph_.message(1, node);
  }

  // field: 11 an input, 12 an output. Shape: [batch][width].
  void value(uint32_t field, std::string_view name, uint64_t type, uint64_t width) {
    Message any, fixed, shape, tensor, of_tensor, info;
    any.text(2, "batch");
    fixed.number(1, width);
    shape.message(1, any);
    shape.message(1, fixed);
    tensor.number(1, type);
    tensor.message(2, shape);
    of_tensor.message(1, tensor);
    info.text(1, name);
    info.message(2, of_tensor);
    graph_.message(field, info);
  }

  std::string model() {
    graph_.text(2, "net");
    Message opset, model;
    opset.text(1, "");
    opset.number(2, 13);
    model.number(1, 7);  // the intermediate representation that came with opset 13
    model.message(8, opset);
    model.message(7, graph_);
    return std::move(model.bytes);
  }

 private:
  Message graph_;
};

class Writer {
 public:
  Writer(const BenchNet& net, bool int8) : net_(net), int8_(int8) {}

  std::string write() {
    constexpr float kActive = kCategoryCount + kNumberCount;
    uint32_t width = net_.hidden.front();
    graph_.value(11, "rows", kInt64, kCategoryCount);
    graph_.value(11, "numbers", kFloat, kNumberCount);
    graph_.value(12, "outputs", kFloat, kOutputCount);
    const int64_t second[] = {1};
    const uint32_t one[] = {1};
    graph_.tensor<int64_t>("second", kInt64, one, second);
    floats("bag", {net_.rows, width}, 1 / std::sqrt(kActive));
    floats("wn", {kNumberCount, width}, 1 / std::sqrt(kActive));
    floats("bn", {width}, 0.1F);
    graph_.node("Gather", {"bag", "rows"}, {"taken"});
    graph_.node("ReduceSum", {"taken", "second"}, {"sum"}, "keepdims", 0);
    graph_.node("Gemm", {"numbers", "wn", "bn"}, {"scaled"});
    graph_.node("Add", {"sum", "scaled"}, {"added"});
    graph_.node("Relu", {"added"}, {"x0"});
    for (size_t layer = 1; layer <= net_.hidden.size(); ++layer) {
      const bool last = layer == net_.hidden.size();
      const auto outputs = last ? static_cast<uint32_t>(kOutputCount) : net_.hidden[layer];
      add_layer(std::to_string(layer), "x" + std::to_string(layer - 1), width, outputs, last);
      width = outputs;
    }
    return graph_.model();
  }

 private:
  std::vector<float> random_floats(size_t count, float deviation) {
    std::vector<float> values(count);
    for (float& value : values) value = normal_(random_) * deviation;
    return values;
  }
  void floats(std::string_view name, const std::vector<uint32_t>& dims, float deviation) {
    size_t count = 1;
    for (const uint32_t dim : dims) count *= dim;
    graph_.tensor<float>(name, kFloat, dims, random_floats(count, deviation));
  }

  void add_layer(const std::string& number, const std::string& x, uint32_t inputs, uint32_t outputs,
                 bool last) {
    const std::string sum = last ? "outputs" : "sum" + number;
    const float deviation = 1 / std::sqrt(static_cast<float>(inputs) / 2);
    floats("b" + number, {outputs}, 0.1F);
    if (int8_) {
      add_integers(number, x, {inputs, outputs}, deviation);
      graph_.node("Add", {"product" + number, "b" + number}, {sum});
    } else {
      floats("w" + number, {inputs, outputs}, deviation);
      graph_.node("Gemm", {x, "w" + number, "b" + number}, {sum});
    }
    if (!last) graph_.node("Relu", {sum}, {"x" + number});
  }

  void add_integers(const std::string& number, const std::string& x,
                    const std::vector<uint32_t>& dims, float deviation) {
    const std::vector<float> weights = random_floats(size_t{dims[0]} * dims[1], deviation);
    float largest = 0;
    for (const float weight : weights) largest = std::max(largest, std::abs(weight));
    const float scale[] = {largest / 127};
    std::vector<int8_t> steps;
    for (const float weight : weights) {
      steps.push_back(static_cast<int8_t>(std::lround(weight / scale[0])));
    }
    graph_.tensor<int8_t>("w" + number, kInt8, dims, steps);
    graph_.tensor<float>("ws" + number, kFloat, {}, scale);
    graph_.node("DynamicQuantizeLinear", {x}, {"q" + number, "qs" + number, "qz" + number});
    graph_.node("MatMulInteger", {"q" + number, "w" + number, "qz" + number}, {"i" + number});
    graph_.node("Cast", {"i" + number}, {"f" + number}, "to", kFloat);
    graph_.node("Mul", {"qs" + number, "ws" + number}, {"s" + number});
    graph_.node("Mul", {"f" + number, "s" + number}, {"product" + number});
  }

  const BenchNet& net_;
  bool int8_;
  Graph graph_;
  std::mt19937 random_{7};
  std::normal_distribution<float> normal_;
};

}  // namespace

std::string onnx_model(const BenchNet& net, bool int8) {
  return Writer(net, int8).write();
}

}  // namespace auspex
