// SPDX-License-Identifier: Apache-2.0
// A deep-learning model as a GPU runs it: operators and what flows between them, with the shapes of
// one batch. Source: DIPPM (Maelstrom D3.5, section 4.2), whose graph keeps skip connections here.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "graph/run_mode.h"

namespace auspex {

// What a framework launches one kernel, or a few, for. kUnknown is a class of its own.
enum class Operator : uint8_t {
  kUnknown,
  kConvolution,
  kTransposedConvolution,
  kDense,            // activations times weights
  kBatchedMultiply,  // activations times activations
  kEinsum,
  kAttention,  // softmax(Q K) V in one
  kRecurrent,  // LSTM, GRU, RNN: all steps
  kEmbedding,  // rows of a table of weights
  kBatchNorm,
  kLayerNorm,  // RMS as well
  kGroupNorm,  // instance as well
  kLocalNorm,
  kSoftmax,
  kRelu,
  kClip,
  kLeakyRelu,
  kGelu,
  kSigmoid,
  kSilu,
  kTanh,
  kHardSwish,
  kHardSigmoid,
  kOtherActivation,
  kAdd,
  kMultiply,
  kSubtract,
  kDivide,
  kOtherElementwise,
  kCompare,  // and choose
  kMaxPool,
  kAveragePool,
  kGlobalPool,
  kReduce,
  kConcat,
  kSlice,  // Split as well
  kTranspose,
  kReshape,  // no byte moves
  kGather,
  kScatter,
  kPad,
  kResize,
  kExpand,
  kCast,
  kRearrange,  // depth to space and back
  kSort,       // top k, arg max, non-zero
  kQuantize,
  kRandom,
  kDropout,  // in training; else it does nothing
};
inline constexpr size_t kOperatorCount = static_cast<size_t>(Operator::kDropout) + 1;
extern const std::array<const char*, kOperatorCount> kOperatorNames;

// Of convolutions and pools; the spatial dimensions that there are, the rest 1.
struct Window {
  std::array<int64_t, 3> kernel{1, 1, 1}, stride{1, 1, 1}, dilation{1, 1, 1};
  int64_t groups = 1;
};

struct OperatorNode {
  Operator op = Operator::kUnknown;
  Window window;
  std::vector<int64_t> shape;  // of the first output
  uint8_t element_bytes = 4;   // of the outputs
  uint64_t output_elements = 0;
  uint64_t input_elements = 0;  // of activations, each input once
  uint64_t parameters = 0;      // elements of weights that it reads
  uint64_t shared = 0;          // of those, what an earlier node reads as well
  uint64_t macs = 0;
  bool reshaped = false;  // somebody reads it in another shape
  bool swaps = false;     // a transposition that swaps the second and the third of four
};

// A node's index is larger than those of its inputs: the order is one in which they can run.
struct OperatorGraph {
  std::vector<OperatorNode> nodes;
  // Shape: first_input [nodes + 1]; the inputs of node i are inputs[first_input[i]...
  // first_input[i + 1]), nodes that made what it reads, each once.
  std::vector<uint32_t> first_input = {0};
  std::vector<uint32_t> inputs;
  std::vector<uint32_t> outputs;  // nodes whose results leave the model
  // The last node during which somebody holds a result, as callers hold what they have given to a
  // function; nothing where that is not known. Shape: [nodes] or none
  std::vector<uint32_t> held_until;
  uint64_t batch = 0;                // samples
  uint64_t given_elements = 0;       // of the model's inputs
  uint64_t parameters = 0;           // elements, shared ones once
  uint64_t parameter_bytes = 0;      // as the file stores them
  std::vector<std::string> unknown;  // names of operators that the vocabulary lacks, each once

  uint64_t macs() const;
  std::span<const uint32_t> inputs_of(uint32_t node) const {
    return std::span(inputs).subspan(first_input[node], first_input[node + 1] - first_input[node]);
  }
};

// Shape: [nodes], who reads each one's result
std::vector<std::vector<uint32_t>> readers_of(const OperatorGraph& graph);

// Shape: [nodes]. Whether a framework makes the result by looking at its input another way: no
// kernel runs and no memory is taken. Slices; transposes whose readers take any strides; padding by
// nothing; dropouts that do nothing.
std::vector<bool> views_of(const OperatorGraph& graph, RunMode mode);

}  // namespace auspex
