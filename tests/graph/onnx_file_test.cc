// SPDX-License-Identifier: Apache-2.0
// Files that are no models, broken ones and vast ones: a reason, and no harm.
#include <fcntl.h>
#include <gmock/gmock.h>

#include "tests/graph/read_graph.h"

namespace auspex {
namespace {

using fixtures::error_of;
using fixtures::image;
using fixtures::OnnxModel;
using fixtures::read_bytes;
using fixtures::residual;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(OnnxFile, SaysWhatIsWrongWithAModel) {
  EXPECT_THAT(error_of(image().node("Relu", {"nothing"}, {"y"})),
              HasSubstr("Relu 'y': its input 'nothing' comes from nowhere"));
  EXPECT_THAT(error_of(image().node("Add", {"x", "b"}, {"a"}).node("Relu", {"a"}, {"b"})),
              HasSubstr("the graph has a cycle"));
  EXPECT_THAT(error_of(image()), HasSubstr("its graph has no nodes"));
  EXPECT_THAT(error_of(image({1, 7}).weight("w", {5, 3}).node("MatMul", {"x", "w"}, {"y"})),
              HasSubstr("MatMul 'y': "));
  OnnxModel vast = image({"batch", 2'000'000'000, 2'000'000'000}).node("Relu", {"x"}, {"y"});
  EXPECT_THAT(error_of(vast), HasSubstr("input 'x': shape [1x2000000000x2000000000]"));
  EXPECT_THAT(error_of(image()
                           .weight("w", {4, 3, 3, 3})
                           .node("Conv", {"x", "w"}, {"y"}, {{"strides", OnnxModel::Dims{1, 0}}})),
              HasSubstr("Conv 'y': strides of 0"));
  EXPECT_THAT(error_of(image().weight("w", {4, 3, 3}).node("Conv", {"x", "w"}, {"y"})),
              HasSubstr("Conv 'y': its weights do not fit [1x3x8x8]"));
  OnnxModel negative = image().node("Relu", {"x"}, {"y"});
  negative.graph().add_initializer()->add_dims(-5);
  EXPECT_THAT(error_of(negative), HasSubstr("shape [-5]"));
}

TEST(OnnxFile, WhatIsNoModelIsSaidSo) {
  const auto message = [](const std::string& bytes) {
    const Result<OperatorGraph> graph = read_bytes(bytes);
    return graph ? "no error" : graph.error().message;
  };
  EXPECT_THAT(message(""), HasSubstr("empty"));
  EXPECT_THAT(message("#!/bin/bash\necho this is no model\n"), HasSubstr("not an ONNX model"));
  EXPECT_THAT(message(std::string(100'000, '\n')), HasSubstr("not an ONNX model"));
  OnnxModel deep;
  auto* graph = &deep.graph();
  for (int i = 0; i < 100; ++i) graph = graph->add_node()->add_attribute()->mutable_g();
  EXPECT_THAT(message(deep.bytes()), HasSubstr("messages within messages"));
  const int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  EXPECT_THAT(read_onnx(folder, {}).error().message, HasSubstr("not a regular file"));
  close(folder);
}

TEST(OnnxFile, CutAnywhereItIsRefused) {
  const std::string bytes = residual().bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(read_bytes(bytes.substr(0, size)).ok()) << size;
  }
}

TEST(OnnxFile, AlteredAnywhereItIsReadOrRefused) {
  const std::string bytes = residual().bytes();
  size_t refused = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string altered = bytes;
    altered[i] = static_cast<char>(altered[i] ^ (1 << (i % 8)));
    refused += !read_bytes(altered).ok();
  }
  EXPECT_GT(refused, 50);
  EXPECT_LT(refused, bytes.size());
}

TEST(OnnxFile, LimitsAreKept) {
  OnnxModel model = image();
  std::string last = "x";
  for (int i = 0; i < 20; ++i) {
    const std::string next = "r" + std::to_string(i);
    model.node("Relu", {last}, {next});
    last = next;
  }
  EXPECT_TRUE(read_bytes(model.bytes()).ok());
  EXPECT_THAT(read_bytes(model.bytes(), {}, {1 << 20, 19}).error().message,
              HasSubstr("more than 19 nodes"));
  model.graph().mutable_node(0)->set_name(std::string(2 << 20, 'n'));
  EXPECT_THAT(read_bytes(model.bytes(), {}, {1 << 20, 100}).error().message,
              HasSubstr("more than 1 MiB beside the weights"));
}

TEST(OnnxFile, ItsWeightsAreNotRead) {
  const std::string bytes = image({1, 1024})
                                .weight("w", {1024, 4096})
                                .node("MatMul", {"x", "w"}, {"y"})
                                .output("y")
                                .bytes();
  const int fd = memfd_create("model", MFD_CLOEXEC);
  ASSERT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  lseek(fd, 0, SEEK_SET);
  const Result<std::string> skeleton = onnx_skeleton(fd);
  close(fd);
  ASSERT_TRUE(skeleton.ok()) << skeleton.error().message;
  EXPECT_LT(skeleton->size(), 300);
  onnx::ModelProto model;
  ASSERT_TRUE(model.ParseFromString(*skeleton));
  EXPECT_THAT(model.graph().initializer(0).dims(), ElementsAre(1024, 4096));
}

}  // namespace
}  // namespace auspex
