// SPDX-License-Identifier: Apache-2.0
#include "graph/module_calls.h"

#include <gtest/gtest.h>

#include "graph/memory.h"

namespace auspex {
namespace {

using Names = std::vector<std::string_view>;
constexpr uint64_t kMiB = uint64_t{1} << 20;

// Each node reads the one before; results of 4 MiB.
OperatorGraph chain(size_t nodes) {
  OperatorGraph graph;
  for (uint32_t i = 0; i < nodes; ++i) {
    OperatorNode node;
    node.op = Operator::kSigmoid;
    node.output_elements = node.input_elements = kMiB;
    if (i > 0) graph.inputs.push_back(i - 1);
    graph.first_input.push_back(static_cast<uint32_t>(graph.inputs.size()));
    graph.nodes.push_back(node);
  }
  graph.outputs = {static_cast<uint32_t>(nodes - 1)};
  return graph;
}

TEST(ModuleCalls, AModuleHoldsWhatItWasGivenUntilItReturns) {
  const Names names = {"/stem/Conv", "/block/a/Conv", "/block/b/Conv", "/block/Add", "/head/Gemm"};
  EXPECT_EQ(held_by_modules(chain(5), names), (std::vector<uint32_t>{3, 2, 2, 4, 4}));
}

TEST(ModuleCalls, TheOutermostModuleThatWasGivenItDecides) {
  const Names names = {"/Conv", "/stage/block1/Conv", "/stage/block2/Conv", "/stage/block2/Add"};
  EXPECT_EQ(held_by_modules(chain(4), names), (std::vector<uint32_t>{3, 3, 2, 3}));
}

TEST(ModuleCalls, AModuleThatIsCalledTwiceReturnsTwice) {
  const Names names = {"/block/act/Relu", "/block/Conv", "/block/act/Relu_1", "/block/Add"};
  EXPECT_EQ(held_by_modules(chain(4), names), (std::vector<uint32_t>{0, 2, 2, 3}));
}

TEST(ModuleCalls, OtherNamesTellNothing) {
  const std::vector<uint32_t> nothing = {0, 1, 2};
  EXPECT_EQ(held_by_modules(chain(3), {"", "", ""}), nothing);
  EXPECT_EQ(held_by_modules(chain(3), {"Conv_0", "Relu_1", "Conv_2"}), nothing);
  EXPECT_EQ(held_by_modules(chain(3), {"/", "x/", "/x"}), nothing);
}

TEST(ModuleCalls, ADeepNameIsReadInPart) {
  const std::string deep(1 << 20, '/');
  EXPECT_EQ(held_by_modules(chain(2), {"x", deep}), (std::vector<uint32_t>{1, 1}));
}

TEST(ModuleCalls, WhatIsHeldTakesMemory) {
  OperatorGraph graph = chain(4);
  EXPECT_EQ(memory_use(graph, {}).most / kMiB, 8);
  graph.held_until = {3, 1, 2, 3};
  EXPECT_EQ(memory_use(graph, {}).most / kMiB, 12);
}

}  // namespace
}  // namespace auspex
