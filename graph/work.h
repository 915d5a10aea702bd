// SPDX-License-Identifier: Apache-2.0
// What a card has to do for one step of a model, by kinds of work that it does at different speeds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "graph/operator_graph.h"

namespace auspex {

enum class Product : uint8_t {
  kConvolution,  // with a window larger than 1
  kDense,        // and convolutions with a window of 1
  kGrouped,      // convolutions of groups of channels
  kDepthwise,    // of single channels that lie apart
  kChannelwise,  // of single channels that lie closest together: other kernels
  kBatched,      // activations with activations, attention
};
inline constexpr std::array<const char*, 6> kProductNames = {
    "convolution", "dense", "grouped", "depthwise", "channelwise", "batched"};
enum class Traffic : uint8_t {
  kArithmetic,  // sums, products, comparisons
  kActivation,  // and all that is nothing of the others
  kBatchNorm,
  kNorm,    // of samples; reductions, softmax, means over windows
  kPool,    // the largest of windows
  kMoves,   // copies into another order
  kMatrix,  // what products read and write
  kImages,  // what convolutions do
};
inline constexpr std::array<const char*, 8> kTrafficNames = {
    "arithmetic", "activation", "batch norm", "norm", "pool", "moves", "matrix", "images"};

// One kernel, or a few.
struct Task {
  std::optional<Product> product;
  Traffic traffic = Traffic::kActivation;
  double macs = 0, results = 0;  // elements of the result
  double padding = 1;            // times as many columns as there are: blocks take 64 at a time
  double elements = 0;           // of activations, read and written
  double weights = 0;            // elements read
  double steps = 1;              // one after the other
  bool channels_last = false;    // of images
};

struct Work {
  std::array<double, kProductNames.size()> macs{};
  std::array<double, kTrafficNames.size()> elements{};  // of activations, read and written
  double weights = 0;                                   // elements read
  std::vector<Task> tasks;                              // all of that, one by one
  uint32_t views = 0;  // nodes that look at another's result: only the host does something
};

// softmax(Q K) V of [batch, heads, positions, values] counts as one kernel whose matrix of weights
// never leaves the card's caches; for other shapes there is none.
Work work_of(const OperatorGraph& graph, RunMode mode = RunMode::kInference);

}  // namespace auspex
