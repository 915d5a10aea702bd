// SPDX-License-Identifier: Apache-2.0
// What is said of models on an H200, against what tests/gpu/collect measured there. The bounds hold
// what was reached; learn/graphs/compare_measured tells more, and what the fit is worth elsewhere.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "graph/estimate.h"
#include "tests/graph/stored_graph.h"

namespace auspex {
namespace {

constexpr char kMeasured[] =
    AUSPEX_SOURCE_DIR "/tests/gpu/measured/nvidia-h200_580.159.04_2026-11-27.jsonl.xz";
constexpr char kGraphs[] = AUSPEX_SOURCE_DIR "/tests/graph/measured_graphs/";

RunConfig config_of(const nlohmann::json& record) {
  RunConfig config;
  const std::string mode = record["mode"], precision = record["precision"];
  config.mode = mode == "inference" ? RunMode::kInference
                : mode == "graph"   ? RunMode::kGraphKept
                                    : RunMode::kTraining;
  config.format = precision == "fp32"   ? NumberFormat::kFp32
                  : precision == "tf32" ? NumberFormat::kTf32
                                        : NumberFormat::kHalf;
  config.optimizer = record["optimizer"] == "sgd" ? Optimizer::kMomentum : Optimizer::kAdam;
  return config;
}

std::string graph_of(const nlohmann::json& record) {
  const std::string model = record["model"];
  std::string name = model.substr(model.rfind(':') + 1) + "@";
  for (const auto& size : record["input"]) name += std::to_string(size.get<int>()) + "x";
  name.pop_back();
  return name;
}

struct Errors {
  double memory = 0, latency = 0, energy = 0;
  int rows = 0;
  void add(const Estimate& said, const nlohmann::json& record) {
    const double reserved = record["memory"]["peak_reserved_bytes"];
    memory += std::abs(static_cast<double>(said.tensors.reserved) / reserved - 1);
    latency += std::abs(said.latency_ms / record["latency"]["event_ms"]["mean"].get<double>() - 1);
    energy += std::abs(said.energy_j / record["energy"]["per_run_j"].get<double>() - 1);
    ++rows;
  }
};

std::map<std::string, Errors> errors_by_mode() {
  std::map<std::string, Errors> errors;
  std::istringstream lines(fixtures::decompressed(fixtures::read_file(kMeasured)));
  for (std::string line; std::getline(lines, line);) {
    const auto record = nlohmann::json::parse(line);
    if (record["kind"] != "model") continue;
    const std::string name = graph_of(record);
    if (!std::filesystem::exists(kGraphs + name + ".onnx.xz")) continue;
    const auto graph = stored_graph("measured_graphs/" + name, record["batch"]);
    EXPECT_TRUE(graph.ok()) << name << ": " << graph.error().message;
    if (!graph.ok()) continue;
    errors[record["mode"]].add(estimate(*graph, *gpu_named("h200-141gb"), config_of(record), 0),
                               record);
  }
  return errors;
}

// Mean of |said / measured - 1|; what was reached, a twentieth above it.
struct Bound {
  double memory, latency, energy;
};
const std::map<std::string, Bound> kReached = {{"inference", {.158, .275, .226}},
                                               {"graph", {.111, .257, .192}},
                                               {"train", {.128, .292, .238}}};

TEST(MeasuredCard, IsMetAsNearAsItWas) {
  const auto errors = errors_by_mode();
  ASSERT_EQ(errors.size(), kReached.size());
  int rows = 0;
  for (const auto& [mode, sum] : errors) {
    rows += sum.rows;
    EXPECT_LT(sum.memory / sum.rows, kReached.at(mode).memory) << mode;
    EXPECT_LT(sum.latency / sum.rows, kReached.at(mode).latency) << mode;
    EXPECT_LT(sum.energy / sum.rows, kReached.at(mode).energy) << mode;
  }
  EXPECT_EQ(rows, 276);
}

}  // namespace
}  // namespace auspex
