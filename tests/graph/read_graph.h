// SPDX-License-Identifier: Apache-2.0
// Models of a few nodes, and what is read of them.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "graph/onnx_graph.h"
#include "tests/fixtures/onnx_model.h"

namespace auspex::fixtures {

inline Result<OperatorGraph> read_bytes(const std::string& bytes, const ModelInput& input = {},
                                        const OnnxLimits& limits = {}) {
  const int fd = memfd_create("model", MFD_CLOEXEC);
  EXPECT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  lseek(fd, 0, SEEK_SET);
  Result<OperatorGraph> graph = read_onnx(fd, input, limits);
  close(fd);
  return graph;
}

inline OperatorGraph graph_of(const OnnxModel& model, const ModelInput& input = {}) {
  Result<OperatorGraph> graph = read_bytes(model.bytes(), input);
  EXPECT_TRUE(graph.ok()) << graph.error().message;
  return graph ? *graph : OperatorGraph();
}

inline std::string error_of(const OnnxModel& model, const ModelInput& input = {}) {
  const Result<OperatorGraph> graph = read_bytes(model.bytes(), input);
  return graph ? "no error" : graph.error().message;
}

inline OnnxModel image(std::initializer_list<OnnxModel::Dim> dims = {"batch", 3, 8, 8}) {
  OnnxModel model;
  model.input("x", dims);
  return model;
}

// x -> Conv -> BatchNorm -> Relu -> + x' where x' is the first convolution's result
inline OnnxModel residual() {
  return image()
      .weight("w", {16, 3, 3, 3})
      .weight("b", {16})
      .weight("scale", {16})
      .weight("shift", {16})
      .weight("mean", {16})
      .weight("variance", {16})
      .node("Conv", {"x", "w", "b"}, {"c"}, {{"pads", OnnxModel::Dims{1, 1, 1, 1}}})
      .node("BatchNormalization", {"c", "scale", "shift", "mean", "variance"}, {"n"})
      .node("Relu", {"n"}, {"r"})
      .node("Add", {"r", "c"}, {"y"})
      .output("y");
}

}  // namespace auspex::fixtures
