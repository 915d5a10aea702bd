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
  kDepthwise,    // of single channels
  kBatched,      // activations with activations, attention
};
inline constexpr std::array<const char*, 5> kProductNames = {"convolution", "dense", "grouped",
                                                             "depthwise", "batched"};
enum class Traffic : uint8_t {
  kElementwise,
  kNorm,    // normalisations, reductions, softmax
  kMoves,   // copies into another order
  kMatrix,  // what products read and write
  kImages,  // what convolutions do
};
inline constexpr std::array<const char*, 5> kTrafficNames = {"elementwise", "norm", "moves",
                                                             "matrix", "images"};

// One kernel, or a few.
struct Task {
  std::optional<Product> product;
  Traffic traffic = Traffic::kElementwise;
  double macs = 0, results = 0;  // elements of the result
  double elements = 0;           // of activations, read and written
  double weights = 0;            // elements read
  double steps = 1;              // one after the other
};

struct Work {
  std::array<double, kProductNames.size()> macs{};
  std::array<double, kTrafficNames.size()> elements{};  // of activations, read and written
  double weights = 0;                                   // elements read
  std::vector<Task> tasks;                              // all of that, one by one
  uint32_t views = 0;  // nodes that look at another's result: only the host does something
};

// softmax(Q K) V counts as one kernel whose matrix of weights never leaves the card's caches.
Work work_of(const OperatorGraph& graph, RunMode mode = RunMode::kInference);

}  // namespace auspex
