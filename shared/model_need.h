// SPDX-License-Identifier: Apache-2.0
// What a deep-learning model is asked about, and what it needs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace auspex {

// One step of a model on a card. Texts are the user's: whoever reads the model checks them.
struct ModelRun {
  std::string path;                     // absolute
  std::string card;                     // as in shared/mig.h
  std::string input;                    // shape of a sample, "3x224x224"; empty: as the file says
  std::string mode, format, optimizer;  // as in graph/run_mode.h
  uint32_t batch = 1;
  double context_mib = 0;

  bool operator==(const ModelRun&) const = default;
};

struct ModelNeed {
  double memory_mib = 0;        // the context included
  double memory_upper_mib = 0;  // that one of a hundred goes beyond
  double latency_ms = 0;        // of a step, on the whole card
  double energy_j = 0;
  std::vector<double> slice_ms;  // of a step, on each of mig_slices(card)

  bool operator==(const ModelNeed&) const = default;
};

struct ModelAnswer {
  std::optional<ModelNeed> need;
  std::string refusal;  // why there is none, for the user
};

}  // namespace auspex
