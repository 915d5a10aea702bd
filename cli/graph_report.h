// SPDX-License-Identifier: Apache-2.0
// What `auspex graph` says of a model.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "graph/estimate.h"
#include "shared/mig.h"

namespace auspex::cli {

struct GraphReport {
  const OperatorGraph& graph;
  const Gpu& gpu;
  RunConfig config;
  double context_mib, headroom;
  bool by_dippm;  // the profile is equation 2's
  Estimate estimate;
  std::vector<double> slice_ms;  // see slice_latencies_ms()
};

// Profile -> share of its usable memory, without headroom; empty where the card has no MIG.
std::vector<std::pair<std::string, double>> fits_of(const GraphReport& report);
// nullopt: the card has none, or none is large enough.
std::optional<std::string> profile_of(const GraphReport& report);

struct GraphDetails {
  bool tasks = false;      // each kernel
  bool operators = false;  // each operator, and whose results it reads
};
nlohmann::json graph_json(const GraphReport& report, const GraphDetails& details);
void print_graph(const GraphReport& report);

}  // namespace auspex::cli
