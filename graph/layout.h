// SPDX-License-Identifier: Apache-2.0
// In which order images lie in memory. It is not in the file; a framework lets it follow from what
// was looked at in another order.
#pragma once

#include <vector>

#include "graph/operator_graph.h"

namespace auspex {

struct Layouts {
  // Shape: [nodes] each. Whether the result's channels lie closest together, which convolutions of
  // tensor cores want; and whether a transposition is only another look at what lies so already.
  std::vector<bool> channels_last, looks;
};

// Of a model whose input's channels come first.
Layouts layouts_of(const OperatorGraph& graph);

}  // namespace auspex
