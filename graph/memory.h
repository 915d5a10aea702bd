// SPDX-License-Identifier: Apache-2.0
// What a model's tensors take of a card's memory, from the order in which they come and go.
#pragma once

#include <cstdint>

#include "graph/operator_graph.h"
#include "graph/run_mode.h"

namespace auspex {

// Bytes. A process needs the driver's context beside it.
struct MemoryUse {
  uint64_t weights = 0;   // parameters, with gradients and an optimizer's numbers where there are
  uint64_t most = 0;      // of all tensors at one time, weights included
  uint64_t reserved = 0;  // what the framework has asked the driver for: the memory that is seen
};

// PyTorch's steps, operator by operator. In place: ReLU and its bounded kin, where nothing else
// needs what they overwrite. Training is of cross entropy, in half precision by autocast.
// product_workspace: bytes of cuBLAS's workspace, for each thread that computes products.
MemoryUse memory_use(const OperatorGraph& graph, const RunConfig& config,
                     uint64_t product_workspace = 0);

}  // namespace auspex
