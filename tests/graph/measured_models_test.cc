// SPDX-License-Identifier: Apache-2.0
// What is said of models against what tests/gpu/collect has measured of them on an H200.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "graph/estimate.h"
#include "tests/graph/stored_graph.h"

namespace auspex {
namespace {

using nlohmann::json;

constexpr char kMeasured[] =
    AUSPEX_SOURCE_DIR "/tests/gpu/measured/nvidia-h200_580.159.04_2026-11-27.jsonl.xz";
constexpr double kMiB = 1 << 20;

// Of less, beside the context, a share says little.
constexpr double kLeastMib = 200;

// Said over measured, less one.
struct Off {
  double tensors, reserved, latency, energy;
  bool beyond;  // it takes more than one of a hundred should
};
using Measure = double Off::*;

Result<OperatorGraph> graph_of(const json& row) {
  std::string name = row["model"].get<std::string>();
  std::replace(name.begin(), name.end(), ':', '-');
  char separator = '@';
  for (const auto& size : row["input"]) {
    name += separator + std::to_string(size.get<int>());
    separator = 'x';
  }
  return stored_graph("measured_graphs/" + name, row["batch"].get<uint64_t>());
}

RunConfig config_of(const json& row) {
  RunConfig config;
  if (row["mode"] == "graph") config.mode = RunMode::kGraphKept;
  if (row["mode"] == "train") config.mode = RunMode::kTraining;
  if (row["precision"] == "tf32") config.format = NumberFormat::kTf32;
  if (row["precision"] == "bf16") config.format = NumberFormat::kHalf;
  if (row["optimizer"] == "sgd") config.optimizer = Optimizer::kMomentum;  // torch's has one
  config.channels_last = row["memory_format"] == "channels_last";
  return config;
}

std::map<std::string, std::vector<Off>> compare() {
  std::map<std::string, std::vector<Off>> found;
  std::istringstream lines(fixtures::decompressed(fixtures::read_file(kMeasured)));
  std::string line;
  while (std::getline(lines, line)) {
    const json row = json::parse(line);
    if (row["kind"] != "model" || row["status"] != "ok") continue;
    const Result<OperatorGraph> graph = graph_of(row);
    if (row["family"] == "deberta") {
      // Its masks are made by a branch on data, which no shape is told of.
      EXPECT_FALSE(graph.ok());
      continue;
    }
    EXPECT_TRUE(graph.ok()) << row["key"] << ": " << graph.error().message;
    if (!graph) continue;
    const Estimate said = estimate(*graph, *gpu_named("h200-141gb"), config_of(row), 0);
    const json& memory = row["memory"];
    found[row["mode"]].push_back(
        {static_cast<double>(said.tensors.most) / memory["peak_allocated_bytes"].get<double>() - 1,
         said.memory_mib * kMiB / memory["peak_reserved_bytes"].get<double>() - 1,
         said.latency_ms / row["latency"]["event_ms"]["median"].get<double>() - 1,
         said.energy_j / row["energy"]["per_run_j"].get<double>() - 1,
         said.memory_mib > kLeastMib &&
             memory["peak_reserved_bytes"].get<double>() > said.memory_upper_mib * kMiB});
  }
  return found;
}

double mean_of(const std::vector<Off>& rows, Measure measure) {
  double sum = 0;
  for (const Off& row : rows) sum += std::abs(row.*measure) / static_cast<double>(rows.size());
  return sum;
}

double median_of(const std::vector<Off>& rows, Measure measure) {
  std::vector<double> sizes;
  for (const Off& row : rows) sizes.push_back(std::abs(row.*measure));
  std::nth_element(sizes.begin(), sizes.begin() + static_cast<int64_t>(sizes.size() / 2),
                   sizes.end());
  return sizes[sizes.size() / 2];
}

struct Reached {
  const char* mode;
  size_t rows;
  double tensors, tensors_median, reserved, reserved_median;
};
// What learn/graphs/compare_measured prints of all rows, and a little more. Memory is simulated:
// nothing in it is fitted to these rows.
constexpr Reached kReached[] = {
    {"inference", 116, 0.065, 0.010, 0.100, 0.035},
    {"graph", 58, 0.040, 0.006, 0.045, 0.008},
    {"train", 115, 0.030, 0.008, 0.062, 0.033},
};

// One test, because reading and simulating all takes seconds.
TEST(MeasuredModels, AreMetAsWellAsWasReached) {
  const auto found = compare();
  for (const Reached& reached : kReached) {
    SCOPED_TRACE(reached.mode);
    ASSERT_TRUE(found.contains(reached.mode));
    const std::vector<Off>& rows = found.at(reached.mode);
    EXPECT_EQ(rows.size(), reached.rows);
    EXPECT_LT(mean_of(rows, &Off::tensors), reached.tensors);
    EXPECT_LT(median_of(rows, &Off::tensors), reached.tensors_median);
    EXPECT_LT(mean_of(rows, &Off::reserved), reached.reserved);
    EXPECT_LT(median_of(rows, &Off::reserved), reached.reserved_median);
    const auto beyond =
        std::count_if(rows.begin(), rows.end(), [](const Off& row) { return row.beyond; });
    EXPECT_LE(static_cast<double>(beyond) / static_cast<double>(rows.size()), 0.03);
    // Fitted to these rows: that the constants are those that fit_measured prints, no more.
    EXPECT_LT(mean_of(rows, &Off::latency), 0.22);
    EXPECT_LT(mean_of(rows, &Off::energy), 0.21);
  }
}

}  // namespace
}  // namespace auspex
