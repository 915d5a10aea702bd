// SPDX-License-Identifier: Apache-2.0
// What a card has to do for one step of a model, by kinds of work that it does at different speeds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

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
};
inline constexpr std::array<const char*, 4> kTrafficNames = {"elementwise", "norm", "moves",
                                                             "matrix"};

struct Work {
  std::array<double, kProductNames.size()> macs{};
  std::array<double, kTrafficNames.size()> elements{};  // of activations, read and written
  double weights = 0;                                   // elements read
  uint32_t kernels = 0;                                 // launched
};

// softmax(Q K) V counts as one kernel whose matrix of weights never leaves the card's caches.
Work work_of(const OperatorGraph& graph);

}  // namespace auspex
