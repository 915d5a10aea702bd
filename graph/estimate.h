// SPDX-License-Identifier: Apache-2.0
// What one step of a model needs on a card, from its operators and the card's data sheet: the
// answer where no trained network covers the case.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/gpu.h"
#include "graph/memory.h"
#include "graph/operator_graph.h"
#include "graph/run_mode.h"
#include "graph/work.h"

namespace auspex {

// Memory of the driver's context and the libraries in it, in MiB: it depends on the software, not
// on the model. One run of any model on a site tells its own figure. Source: the smallest process
// of GPUMemNet's measurements on an A100 with 40 GB.
inline constexpr double kContextMib = 1450;

struct Estimate {
  double memory_mib = 0;        // that the process is seen to have: tensors and context
  double memory_upper_mib = 0;  // that one of a hundred goes beyond
  double latency_ms = 0;
  double energy_j = 0;
  MemoryUse tensors;
  Work work;
};

Estimate estimate(const OperatorGraph& graph, const Gpu& gpu, const RunConfig& config,
                  double context_mib = kContextMib);

// A share of all that the model computes and moves, from 0 to 1: what is not in the vocabulary. The
// estimate knows nothing of it.
double unknown_share(const OperatorGraph& graph);

// Why an estimate would be a guess, where too much is unknown.
std::optional<std::string> no_answer(const OperatorGraph& graph);

// Of a step on each of the card's MIG slices: those that the memory does not fit are told as well.
// Compute by its slices, bandwidth by the share of memory. Source: dippm.md, 7 to 14 % off.
// Shape: [mig_slices(card)]; empty: the card has none.
std::vector<double> slice_latencies_ms(const OperatorGraph& graph, const Gpu& gpu,
                                       const RunConfig& config);

}  // namespace auspex
