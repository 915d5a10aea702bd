// SPDX-License-Identifier: Apache-2.0
// A graph network's operations on a GPU against double precision.
#include <gtest/gtest.h>

#include <utility>

#include "kernels/cuda/abi.h"
#include "tests/kernels/cuda_fixture.h"

namespace auspex {
namespace {

using cuda::AbiGraph;
using cuda::AbiLayer;
using cuda::Format;

class CudaGraph : public Cuda {
 protected:
  void SetUp() override {
    Cuda::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    void* const library = ::dlopen(cuda::kModuleFile, RTLD_NOW | RTLD_LOCAL);
    module_ = reinterpret_cast<cuda::Entry>(::dlsym(library, cuda::kEntryName))();
  }
  const cuda::AbiModule* module_ = nullptr;
};
std::vector<float> random_values(size_t count, std::mt19937& random) {
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

// Root mean square of the error over that of the truth.
double error_over_size(const std::vector<float>& values, const std::vector<double>& truth) {
  double squares = 0, errors = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    squares += truth[i] * truth[i];
    errors += std::pow(values[i] - truth[i], 2);
  }
  return std::sqrt(errors / squares);
}

struct Graph {
  std::vector<uint32_t> begins = {0}, neighbours;
  AbiGraph view() const {
    return {static_cast<uint32_t>(begins.size() - 1), begins.data(), neighbours.data()};
  }
};

// Some nodes have no neighbours, one has many.
Graph random_graph(uint32_t nodes, std::mt19937& random) {
  Graph graph;
  for (uint32_t node = 0; node < nodes; ++node) {
    const uint32_t degree = node == nodes / 2 ? 70 : static_cast<uint32_t>(random() % 6);
    for (uint32_t i = 0; i < degree; ++i) {
      graph.neighbours.push_back(static_cast<uint32_t>(random() % nodes));
    }
    graph.begins.push_back(static_cast<uint32_t>(graph.neighbours.size()));
  }
  return graph;
}

// Blocks of eight nodes, and warps of 32 columns, with their neighbours.
TEST_F(CudaGraph, MeansAreThoseOfTheNeighbours) {
  std::mt19937 random(5);
  for (const uint32_t nodes : {0U, 1U, 7U, 8U, 9U, 63U, 64U, 65U}) {
    const Graph graph = random_graph(nodes, random);
    const AbiGraph view = graph.view();
    for (const uint32_t columns : {0U, 1U, 31U, 32U, 33U, 100U}) {
      const size_t count = size_t{nodes} * columns;
      const std::vector<float> x = random_values(count, random);
      std::vector<float> y(count, -77);
      ASSERT_STREQ(module_->mean(&view, x.data(), columns, y.data()), nullptr);
      std::vector<double> truth(count);
      for (uint32_t node = 0; node < nodes; ++node) {
        const uint32_t begin = graph.begins[node], end = graph.begins[node + 1];
        for (uint32_t column = 0; column < columns; ++column) {
          double sum = 0;
          for (uint32_t i = begin; i < end; ++i) {
            sum += double{x[size_t{graph.neighbours[i]} * columns + column]};
          }
          const size_t at = size_t{node} * columns + column;
          truth[at] = end > begin ? sum / (end - begin) : 0;
          ASSERT_TRUE(end > begin || y[at] == 0) << y[at];
        }
      }
      if (count > 0) {
        EXPECT_LT(error_over_size(y, truth), 1e-6) << nodes << " nodes, " << columns << " columns";
      }
    }
  }
}

TEST_F(CudaGraph, WhatIsNoGraphIsRefused) {
  const std::vector<float> x(8);
  std::vector<float> y(8);
  const auto refusal = [&](std::vector<uint32_t> begins, std::vector<uint32_t> neighbours) {
    const Graph graph = {std::move(begins), std::move(neighbours)};
    const AbiGraph view = graph.view();
    const char* const error = module_->mean(&view, x.data(), 2, y.data());
    return std::string(error ? error : "");
  };
  EXPECT_EQ(refusal({0, 1, 2}, {1, 0}), "");
  EXPECT_EQ(refusal({0, 0, 0}, {}), "");
  EXPECT_EQ(refusal({0, 1, 2}, {1, 2}), "a neighbour that is no node of its graph");
  EXPECT_EQ(refusal({0, 2, 1}, {1, 0}),
            "a graph whose neighbours do not lie in the order of its nodes");
  EXPECT_EQ(refusal({1, 1, 2}, {1, 0}), "a graph whose first neighbour is not the first");
}

// Tiles of 64 rows, 128 columns and 4 steps, with their neighbours.
TEST_F(CudaGraph, ProductsAreThoseOfMatrices) {
  struct Shape {
    uint32_t inputs, outputs;
  };
  std::mt19937 random(6);
  for (const auto& [format, tolerance] : {std::pair{Format::kFp32, 1e-6},
                                          {Format::kTf32, 1e-3},
                                          {Format::kBf16, 5e-3},
                                          {Format::kFp16, 1e-3}}) {
    for (const Shape& shape : {Shape{1, 1}, Shape{63, 33}, Shape{129, 128}, Shape{200, 130}}) {
      const auto weights = random_values(size_t{shape.inputs} * shape.outputs, random);
      const auto bias = random_values(shape.outputs, random);
      for (const uint32_t rows : {0U, 1U, 17U, 63U, 64U, 65U}) {
        const bool relu = rows % 2 == 1;
        const AbiLayer layer = {shape.inputs, shape.outputs, weights.data(),
                                bias.data(),  relu,          format};
        const auto x = random_values(size_t{rows} * shape.inputs, random);
        std::vector<float> y(size_t{rows} * shape.outputs, -77);
        ASSERT_STREQ(module_->multiply(&layer, x.data(), rows, y.data()), nullptr);
        std::vector<double> truth(y.size());
        for (size_t at = 0; at < truth.size(); ++at) {
          const size_t row = at / shape.outputs, column = at % shape.outputs;
          double sum = double{bias[column]};
          for (size_t i = 0; i < shape.inputs; ++i) {
            sum += double{x[row * shape.inputs + i]} * double{weights[i * shape.outputs + column]};
          }
          truth[at] = relu ? std::max(sum, 0.0) : sum;
        }
        if (rows > 1 && shape.inputs > 1) {  // else ReLU may leave next to nothing
          EXPECT_LT(error_over_size(y, truth), tolerance)
              << rows << " rows, " << shape.inputs << " inputs, format " << int(format);
        }
        for (size_t at = 0; at < truth.size(); ++at) {
          ASSERT_NEAR(y[at], truth[at], 10 * tolerance * std::sqrt(shape.inputs)) << at;
        }
      }
    }
  }
}

TEST_F(CudaGraph, WhatIsNoProductIsRefused) {
  const std::vector<float> weights = {1, 1e5F}, bias = {0};
  AbiLayer layer = {2, 1, weights.data(), bias.data(), false, Format::kInt8};
  float y = 0;
  EXPECT_STREQ(module_->multiply(&layer, weights.data(), 1, &y),
               "a product of matrices is FP32, TF32, BF16 or FP16");
  layer.format = Format::kFp16;
  EXPECT_STREQ(module_->multiply(&layer, weights.data(), 1, &y),
               "weights beyond the range of FP16");
}

}  // namespace
}  // namespace auspex
