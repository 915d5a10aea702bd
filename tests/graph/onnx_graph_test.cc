// SPDX-License-Identifier: Apache-2.0
// From an ONNX file to operators: what is a node, what flows where, how much work it is.
#include "graph/onnx_graph.h"

#include <gmock/gmock.h>
#include "tests/graph/read_graph.h"

namespace auspex {
namespace {

using fixtures::error_of;
using fixtures::graph_of;
using fixtures::image;
using fixtures::OnnxModel;
using fixtures::residual;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Dims = std::vector<int64_t>;

std::vector<Operator> operators_of(const OperatorGraph& graph) {
  std::vector<Operator> out;
  for (const OperatorNode& node : graph.nodes) out.push_back(node.op);
  return out;
}

std::vector<uint32_t> inputs_of(const OperatorGraph& graph, size_t node) {
  return {graph.inputs.begin() + graph.first_input[node],
          graph.inputs.begin() + graph.first_input[node + 1]};
}

TEST(OnnxGraph, KeepsSkipConnections) {
  const OperatorGraph graph = graph_of(residual());
  using enum Operator;
  EXPECT_THAT(operators_of(graph), ElementsAre(kConvolution, kBatchNorm, kRelu, kAdd));
  EXPECT_THAT(inputs_of(graph, 0), IsEmpty());
  EXPECT_THAT(inputs_of(graph, 2), ElementsAre(1));
  EXPECT_THAT(inputs_of(graph, 3), ElementsAre(2, 0));
  EXPECT_THAT(graph.outputs, ElementsAre(3));
}

TEST(OnnxGraph, CountsParametersWithoutRunningStatistics) {
  const OperatorGraph graph = graph_of(residual());
  EXPECT_EQ(graph.parameters, 16 * 3 * 9 + 16 + 2 * 16);
  EXPECT_EQ(graph.parameter_bytes, 4 * graph.parameters);
  EXPECT_EQ(graph.nodes[1].parameters, 32);
}

TEST(OnnxGraph, TheBatchIsWhatIsAskedFor) {
  for (const uint64_t batch : {1, 7}) {
    const OperatorGraph graph = graph_of(residual(), {batch, {}});
    EXPECT_THAT(graph.nodes[0].shape, ElementsAre(batch, 16, 8, 8));
    EXPECT_EQ(graph.macs(), batch * 16 * 64 * 27);
    EXPECT_EQ(graph.given_elements, batch * 3 * 64);
    EXPECT_EQ(graph.batch, batch);
  }
}

TEST(OnnxGraph, OpenDimensionsAreGivenInTheirOrder) {
  const auto model = [] {
    return image({"batch", 3, "height", "width"})
        .weight("w", {4, 3, 1, 1})
        .node("Conv", {"x", "w"}, {"y"})
        .output("y");
  };
  EXPECT_THAT(graph_of(model(), {2, {10, 12}}).nodes[0].shape, ElementsAre(2, 4, 10, 12));
  EXPECT_THAT(graph_of(model(), {2, {3, 10, 12}}).nodes[0].shape, ElementsAre(2, 4, 10, 12));
  EXPECT_THAT(error_of(model(), {2, {4, 10, 12}}),
              HasSubstr("has 3 in the file where 4 was given"));
  EXPECT_THAT(error_of(model(), {2, {10}}), HasSubstr("dimension 'width' is open"));
}

TEST(OnnxGraph, AFixedBatchIsKept) {
  OnnxModel model = image({4, 3, 8, 8}).node("Relu", {"x"}, {"y"}).output("y");
  EXPECT_THAT(graph_of(model, {4, {}}).nodes[0].shape, ElementsAre(4, 3, 8, 8));
  EXPECT_THAT(error_of(model, {8, {}}),
              HasSubstr("input 'x' has batches of 4 in the file, not of 8"));
}

struct Work {
  const char* what;
  OnnxModel model;
  uint64_t macs;
};

TEST(OnnxGraph, MultiplyAccumulatesAreThoseOfTheFormula) {
  const std::vector<Work> cases = {
      {"grouped",
       image({1, 8, 6, 6})
           .weight("w", {8, 2, 3, 3})
           .node("Conv", {"x", "w"}, {"y"},
                 {{"group", 4}, {"strides", Dims{2, 2}}, {"pads", Dims{1, 1, 1, 1}}}),
       8 * 3 * 3 * 2 * 9},
      {"transposed",
       image({1, 8, 6, 6})
           .weight("w", {8, 5, 2, 2})
           .node("ConvTranspose", {"x", "w"}, {"y"}, {{"strides", Dims{2, 2}}}),
       8 * 36 * 5 * 4},
      {"dense", image({3, 7}).weight("w", {5, 7}).node("Gemm", {"x", "w"}, {"y"}, {{"transB", 1}}),
       3 * 5 * 7},
      {"dense, turned",
       image({7, 3}).weight("w", {7, 5}).node("Gemm", {"x", "w"}, {"y"}, {{"transA", 1}}),
       3 * 5 * 7},
      {"batched", image({2, 4, 5, 6}).input("z", {2, 4, 6, 3}).node("MatMul", {"x", "z"}, {"y"}),
       2 * 4 * 5 * 3 * 6},
      {"einsum",
       image({2, 5, 6})
           .input("z", {2, 3, 6})
           .node("Einsum", {"x", "z"}, {"y"}, {{"equation", std::string("bid,bjd->bij")}}),
       2 * 5 * 6 * 3},
      {"recurrent",
       image({9, 2, 4})
           .weight("w", {1, 20, 4})
           .weight("r", {1, 20, 5})
           .node("LSTM", {"x", "w", "r"}, {"y"}, {{"hidden_size", 5}}),
       9 * 2 * (20 * 4 + 20 * 5)},
  };
  for (const Work& work : cases) {
    OnnxModel model = work.model;
    const Dims& dims = {};
    ModelInput input{1, dims};
    input.batch = static_cast<uint64_t>(
        model.graph().input(0).type().tensor_type().shape().dim(0).dim_value());
    EXPECT_EQ(graph_of(model.output("y"), input).macs(), work.macs) << work.what;
  }
}

TEST(OnnxGraph, AWindowIsThatOfTheNode) {
  const OperatorGraph graph =
      graph_of(image({1, 8, 9, 9})
                   .weight("w", {8, 1, 3, 5})
                   .node("Conv", {"x", "w"}, {"y"},
                         {{"group", 8}, {"strides", Dims{2, 1}}, {"dilations", Dims{1, 2}}})
                   .output("y"));
  const Window& window = graph.nodes[0].window;
  EXPECT_THAT(window.kernel, ElementsAre(3, 5, 1));
  EXPECT_THAT(window.stride, ElementsAre(2, 1, 1));
  EXPECT_THAT(window.dilation, ElementsAre(1, 2, 1));
  EXPECT_EQ(window.groups, 8);
}

TEST(OnnxGraph, WhatMovesNoByteIsNoNode) {
  const OperatorGraph graph = graph_of(image()
                                           .node("Relu", {"x"}, {"a"})
                                           .node("Identity", {"a"}, {"b"})
                                           .node("Flatten", {"b"}, {"c"})
                                           .node("Dropout", {"c"}, {"d"})
                                           .node("Sigmoid", {"d"}, {"y"})
                                           .output("y"),
                                       {2, {}});
  EXPECT_THAT(operators_of(graph), ElementsAre(Operator::kRelu, Operator::kSigmoid));
  EXPECT_THAT(inputs_of(graph, 1), ElementsAre(0));
  EXPECT_THAT(graph.nodes[1].shape, ElementsAre(2, 192));
}

TEST(OnnxGraph, ADropoutIsANodeInTraining) {
  const OperatorGraph graph = graph_of(image()
                                           .scalar("ratio", 0.1F)
                                           .scalar("training", 1)
                                           .node("Relu", {"x"}, {"r"})
                                           .node("Dropout", {"r", "ratio", "training"}, {"y"})
                                           .output("y"));
  EXPECT_THAT(operators_of(graph), ElementsAre(Operator::kRelu, Operator::kDropout));
}

// Shape -> Gather -> Concat -> Reshape, as exporters write x.reshape(x.shape[0], -1).
TEST(OnnxGraph, WhatComputesShapesIsNoNode) {
  const OperatorGraph graph =
      graph_of(image()
                   .numbers("first", {0})
                   .numbers("rest", {-1})
                   .node("Shape", {"x"}, {"shape"})
                   .node("Gather", {"shape", "first"}, {"samples"})
                   .node("Concat", {"samples", "rest"}, {"to"}, {{"axis", 0}})
                   .node("Reshape", {"x", "to"}, {"flat"})
                   .weight("w", {192, 10})
                   .node("MatMul", {"flat", "w"}, {"y"})
                   .output("y"),
               {5, {}});
  EXPECT_THAT(operators_of(graph), ElementsAre(Operator::kDense));
  EXPECT_EQ(graph.macs(), 5 * 192 * 10);
}

// Range(3) - Range(2) as a column: a table of 3 x 2, as relative positions are computed.
TEST(OnnxGraph, NumbersAreComputedWithBroadcasting) {
  const OperatorGraph graph = graph_of(image({"batch", 3, 2})
                                           .numbers("row", {0, 1})
                                           .numbers("column", {0, 1, 2})
                                           .numbers("last", {1})
                                           .node("Unsqueeze", {"column", "last"}, {"c"})
                                           .node("Sub", {"c", "row"}, {"table"})
                                           .node("Shape", {"table"}, {"shape"})
                                           .node("ReduceProd", {"shape"}, {"count"})
                                           .numbers("batch", {-1})
                                           .numbers("once", {1})
                                           .node("Reshape", {"count", "once"}, {"six"})
                                           .node("Concat", {"batch", "six"}, {"to"}, {{"axis", 0}})
                                           .node("Reshape", {"x", "to"}, {"flat"})
                                           .node("Relu", {"flat"}, {"y"})
                                           .output("y"),
                                       {4, {}});
  EXPECT_THAT(graph.nodes[0].shape, ElementsAre(4, 6));
}

// onnx's own inference leaves these two out.
TEST(OnnxGraph, OrEqualHasAShapeOfItsOwn) {
  for (const char* const type : {"LessOrEqual", "GreaterOrEqual"}) {
    const OperatorGraph graph = graph_of(
        image({"batch", 3, 2}).node("Sin", {"x"}, {"a"}).node(type, {"a", "x"}, {"b"}).output("b"),
        {4, {}});
    EXPECT_THAT(graph.nodes[1].shape, ElementsAre(4, 3, 2)) << type;
  }
}

TEST(OnnxGraph, WhatDependsOnWeightsAloneIsNoNode) {
  const OperatorGraph graph = graph_of(image({1, 7})
                                           .weight("w", {5, 7})
                                           .node("Transpose", {"w"}, {"t"}, {{"perm", Dims{1, 0}}})
                                           .node("MatMul", {"x", "t"}, {"y"})
                                           .output("y"));
  EXPECT_THAT(operators_of(graph), ElementsAre(Operator::kDense));
  EXPECT_EQ(graph.parameters, 35);
}

TEST(OnnxGraph, OneKernelThatExportersTakeApartIsOneNode) {
  const OperatorGraph silu = graph_of(image()
                                          .node("Sigmoid", {"x0"}, {"s"})
                                          .node("Mul", {"x0", "s"}, {"y"})
                                          .node("Relu", {"x"}, {"x0"})
                                          .output("y"));
  EXPECT_THAT(operators_of(silu), ElementsAre(Operator::kRelu, Operator::kSilu));

  const OperatorGraph gelu = graph_of(image()
                                          .scalar("root", 1.4142F)
                                          .scalar("one", 1)
                                          .scalar("half", 0.5F)
                                          .node("Relu", {"x"}, {"r"})
                                          .node("Div", {"r", "root"}, {"d"})
                                          .node("Erf", {"d"}, {"e"})
                                          .node("Add", {"e", "one"}, {"a"})
                                          .node("Mul", {"r", "a"}, {"m"})
                                          .node("Mul", {"m", "half"}, {"y"})
                                          .output("y"));
  EXPECT_THAT(operators_of(gelu), ElementsAre(Operator::kRelu, Operator::kGelu));
  EXPECT_THAT(inputs_of(gelu, 1), ElementsAre(0));

  const OperatorGraph tanh_gelu = graph_of(image()
                                               .scalar("a", 0.8F)
                                               .scalar("b", 0.045F)
                                               .scalar("one", 1)
                                               .scalar("half", 0.5F)
                                               .node("Relu", {"x"}, {"r"})
                                               .node("Mul", {"r", "r"}, {"r2"})
                                               .node("Mul", {"r", "r2"}, {"r3"})
                                               .node("Mul", {"r3", "b"}, {"c"})
                                               .node("Add", {"r", "c"}, {"s"})
                                               .node("Mul", {"s", "a"}, {"m"})
                                               .node("Tanh", {"m"}, {"t"})
                                               .node("Add", {"t", "one"}, {"p"})
                                               .node("Mul", {"r", "p"}, {"q"})
                                               .node("Mul", {"q", "half"}, {"y"})
                                               .output("y"));
  EXPECT_THAT(operators_of(tanh_gelu), ElementsAre(Operator::kRelu, Operator::kGelu));

  const OperatorGraph norm = graph_of(image({1, 5, 64})
                                          .scalar("two", 2)
                                          .scalar("epsilon", 1e-5F)
                                          .weight("scale", {64})
                                          .weight("shift", {64})
                                          .node("Relu", {"x"}, {"r"})
                                          .node("ReduceMean", {"r"}, {"mean"}, {{"axes", Dims{-1}}})
                                          .node("Sub", {"r", "mean"}, {"d"})
                                          .node("Pow", {"d", "two"}, {"p"})
                                          .node("ReduceMean", {"p"}, {"v"}, {{"axes", Dims{-1}}})
                                          .node("Add", {"v", "epsilon"}, {"a"})
                                          .node("Sqrt", {"a"}, {"s"})
                                          .node("Div", {"d", "s"}, {"q"})
                                          .node("Mul", {"q", "scale"}, {"m"})
                                          .node("Add", {"m", "shift"}, {"y"})
                                          .output("y"));
  EXPECT_THAT(operators_of(norm), ElementsAre(Operator::kRelu, Operator::kLayerNorm));
  EXPECT_EQ(norm.nodes[1].parameters, 128);
}

TEST(OnnxGraph, ADenseLayerHasItsBiases) {
  const auto model = [](const Dims& bias) {
    return image({3, 7})
        .weight("w", {7, 5})
        .weight("b", bias)
        .node("Relu", {"x"}, {"r"})
        .node("MatMul", {"r", "w"}, {"m"})
        .node("Add", {"m", "b"}, {"y"})
        .output("y");
  };
  const OperatorGraph graph = graph_of(model({5}), {3, {}});
  EXPECT_THAT(operators_of(graph), ElementsAre(Operator::kRelu, Operator::kDense));
  EXPECT_EQ(graph.nodes[1].parameters, 40);
  EXPECT_EQ(graph.nodes[1].macs, 3 * 7 * 5);
  EXPECT_EQ(graph_of(model({3, 5}), {3, {}}).nodes.size(), 3);
}

TEST(OnnxGraph, AGateThatSomebodyElseReadsStaysApart) {
  const OperatorGraph graph = graph_of(image()
                                           .node("Relu", {"x"}, {"r"})
                                           .node("Sigmoid", {"r"}, {"s"})
                                           .node("Mul", {"r", "s"}, {"m"})
                                           .node("Add", {"m", "s"}, {"y"})
                                           .output("y"));
  using enum Operator;
  EXPECT_THAT(operators_of(graph), ElementsAre(kRelu, kSigmoid, kMultiply, kAdd));
}

// Somebody else wants x - mean(x): then it has to be made, and the parts stay apart.
TEST(OnnxGraph, APatternThatIsReadInsideStaysApart) {
  const OperatorGraph graph =
      graph_of(image({1, 5, 64})
                   .scalar("two", 2)
                   .scalar("epsilon", 1e-5F)
                   .node("Relu", {"x"}, {"r"})
                   .node("ReduceMean", {"r"}, {"mean"}, {{"axes", Dims{-1}}})
                   .node("Sub", {"r", "mean"}, {"d"})
                   .node("Pow", {"d", "two"}, {"p"})
                   .node("ReduceMean", {"p"}, {"v"}, {{"axes", Dims{-1}}})
                   .node("Add", {"v", "epsilon"}, {"a"})
                   .node("Sqrt", {"a"}, {"s"})
                   .node("Div", {"d", "s"}, {"q"})
                   .node("Add", {"q", "d"}, {"y"})
                   .output("y"));
  EXPECT_EQ(graph.nodes.size(), 9);
  EXPECT_THAT(inputs_of(graph, 8), ElementsAre(7, 2));
}

TEST(OnnxGraph, SinceOpset18AxesAreAnInput) {
  OnnxModel model(18);
  model.input("x", {"batch", 5, 64}).numbers("axes", {-1}).node("ReduceMean", {"x", "axes"}, {"y"});
  EXPECT_THAT(graph_of(model.output("y"), {2, {}}).nodes[0].shape, ElementsAre(2, 5, 1));
}

TEST(OnnxGraph, AnOperatorThatIsNotKnownIsNamed) {
  const OperatorGraph graph =
      graph_of(image().node("Frobnicate", {"x"}, {"f"}).node("Relu", {"f"}, {"y"}).output("y"));
  EXPECT_THAT(operators_of(graph), ElementsAre(Operator::kUnknown, Operator::kRelu));
  EXPECT_THAT(graph.unknown, ElementsAre("Frobnicate"));
  EXPECT_THAT(graph.nodes[1].shape, ElementsAre(1, 3, 8, 8));
}

}  // namespace
}  // namespace auspex
