// SPDX-License-Identifier: Apache-2.0
// In which order images lie follows from what was looked at in another order.
#include "graph/layout.h"

#include <gtest/gtest.h>

#include "graph/work.h"
#include "tests/graph/read_graph.h"

namespace auspex {
namespace {

using fixtures::graph_of;
using fixtures::image;
using fixtures::OnnxModel;

const OnnxModel::Attributes kToImages = {{"perm", OnnxModel::Dims{0, 3, 1, 2}}};
const OnnxModel::Attributes kToRows = {{"perm", OnnxModel::Dims{0, 2, 3, 1}}};
const OnnxModel::Attributes kDepthwise = {{"pads", OnnxModel::Dims{1, 1, 1, 1}},
                                          {"group", int64_t{8}}};

double channelwise(const OperatorGraph& graph) {
  return work_of(graph).macs[static_cast<size_t>(Product::kChannelwise)];
}

TEST(Layout, AnImageThatComesInHasItsChannelsFirst) {
  const OperatorGraph graph = graph_of(image({1, 8, 6, 6})
                                           .weight("w", {8, 1, 3, 3})
                                           .node("Conv", {"x", "w"}, {"y"}, kDepthwise)
                                           .node("Relu", {"y"}, {"z"})
                                           .output("z"));
  EXPECT_EQ(layouts_of(graph).channels_last, std::vector<bool>(2, false));
  EXPECT_EQ(channelwise(graph), 0);
}

// As a ConvNeXt has it: what a dense layer has made is looked at as an image.
TEST(Layout, RowsThatAreLookedAtAsImagesHaveTheirChannelsLast) {
  const OperatorGraph graph = graph_of(image({1, 6, 6, 8})
                                           .weight("d", {8, 8})
                                           .weight("w", {8, 1, 3, 3})
                                           .node("MatMul", {"x", "d"}, {"rows"})
                                           .node("Transpose", {"rows"}, {"images"}, kToImages)
                                           .node("Conv", {"images", "w"}, {"y"}, kDepthwise)
                                           .node("Relu", {"y"}, {"z"})
                                           .node("Transpose", {"z"}, {"back"}, kToRows)
                                           .output("back"));
  const Layouts layouts = layouts_of(graph);
  EXPECT_EQ(layouts.channels_last, (std::vector<bool>{false, true, true, true, false}));
  EXPECT_EQ(layouts.looks, (std::vector<bool>{false, true, false, false, true}));
  EXPECT_EQ(channelwise(graph), 36 * 8 * 9);
  EXPECT_EQ(work_of(graph).elements[static_cast<size_t>(Traffic::kMoves)], 0);
}

// As a Pyramid Vision Transformer has it.
TEST(Layout, SoHavePositionsOfWhichImagesAreMade) {
  const OperatorGraph graph =
      graph_of(image({1, 36, 8})
                   .weight("d", {8, 8})
                   .weight("w", {8, 1, 3, 3})
                   .numbers("shape", {1, 8, 6, 6})
                   .node("MatMul", {"x", "d"}, {"rows"})
                   .node("Transpose", {"rows"}, {"t"}, {{"perm", OnnxModel::Dims{0, 2, 1}}})
                   .node("Reshape", {"t", "shape"}, {"images"})
                   .node("Conv", {"images", "w"}, {"y"}, kDepthwise)
                   .output("y"));
  EXPECT_TRUE(layouts_of(graph).looks[1]);
  EXPECT_EQ(channelwise(graph), 36 * 8 * 9);
}

TEST(Layout, AnImageThatIsTurnedIntoAnotherOrderIsCopied) {
  const OperatorGraph graph = graph_of(image({1, 8, 6, 6})
                                           .weight("w", {8, 8, 1, 1})
                                           .weight("d", {8, 8})
                                           .node("Conv", {"x", "w"}, {"y"})
                                           .node("Transpose", {"y"}, {"rows"}, kToRows)
                                           .node("MatMul", {"rows", "d"}, {"z"})
                                           .output("z"));
  EXPECT_FALSE(layouts_of(graph).looks[1]);
  EXPECT_EQ(work_of(graph).elements[static_cast<size_t>(Traffic::kMoves)], 2 * 36 * 8);
}

}  // namespace
}  // namespace auspex
