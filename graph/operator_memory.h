// SPDX-License-Identifier: Apache-2.0
// What PyTorch keeps of each operator for its gradient, and in which numbers autocast runs it.
#pragma once

#include <cstdint>

#include "graph/operator_graph.h"

namespace auspex {

// What an operator's gradient needs of its forward run.
struct Saved {
  bool input = false, output = false;
  uint64_t index_bytes = 0;  // for each element of the output: where a maximum was, a mask
};
// Source: the formulas of the derivatives; which of two a framework keeps, from PyTorch.
Saved saved_by(Operator op);

// Training in half precision keeps weights in FP32, and casts where an operator asks for it.
enum class Autocast : uint8_t {
  kHalf,    // products: inputs and weights are cast down
  kFull,    // inputs are cast up
  kWidest,  // as its widest input is
  kFirst,   // as its input is, whatever its weights are
};
// Source: "Autocast Op Reference" of PyTorch's documentation of torch.amp.
Autocast autocast_of(Operator op);

}  // namespace auspex
