// SPDX-License-Identifier: Apache-2.0
// Memory of training as others measured it. Needs ../shared/data, which a fresh machine lacks.
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <string_view>
#include <vector>

#include "graph/memory.h"
#include "shared/readers/line_source.h"

namespace auspex {
namespace {

constexpr char kPerceptrons[] =
    AUSPEX_SOURCE_DIR "/../shared/data/dl/gpumemnet/mlp_data_step2.csv.xz";
constexpr double kMiB = 1 << 20;

struct TrainingRun {
  OperatorGraph graph;
  double measured_mib = 0;
};

uint64_t number(std::string_view text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<std::string_view> split(std::string_view text, std::string_view at) {
  std::vector<std::string_view> parts;
  for (size_t end = 0; end != std::string_view::npos; text.remove_prefix(end + at.size())) {
    end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
  }
  return parts;
}

Operator operator_of(std::string_view layer) {
  if (layer == "linear") return Operator::kDense;
  if (layer == "batch_normalization") return Operator::kBatchNorm;
  if (layer == "ReLU") return Operator::kRelu;
  if (layer == "Tanh") return Operator::kTanh;
  if (layer == "Sigmoid") return Operator::kSigmoid;
  if (layer == "Softmax") return Operator::kSoftmax;
  return Operator::kOtherActivation;
}

// input:2615_output:218_..., 8, "[('linear', 1307, 3419112), ('ELU', 1307, 0), ...]", ELU,
// activations, parameters, batch, batch norms, dropouts, MiB, ...
TrainingRun run_of(std::string_view line) {
  const size_t open = line.find("\"[("), close = line.find(")]\"");
  const auto after = split(line.substr(close + 4), ",");
  const uint64_t batch = number(after.at(3));
  TrainingRun run;
  run.measured_mib = static_cast<double>(number(after.at(6)));
  run.graph.given_elements = batch * number(line.substr(line.find(':') + 1));
  for (const std::string_view layer : split(line.substr(open + 3, close - open - 3), "), (")) {
    const auto parts = split(layer, ", ");
    if (parts[0] == "'Identity'" || parts[0] == "'dropout'") continue;
    OperatorNode node;
    node.op = operator_of(parts[0].substr(1, parts[0].size() - 2));
    node.output_elements = batch * number(parts.at(1));
    node.parameters = number(parts.at(2));
    const auto before = static_cast<uint32_t>(run.graph.nodes.size());
    if (before > 0) run.graph.inputs.push_back(before - 1);
    run.graph.first_input.push_back(static_cast<uint32_t>(run.graph.inputs.size()));
    run.graph.nodes.push_back(node);
  }
  run.graph.outputs = {static_cast<uint32_t>(run.graph.nodes.size() - 1)};
  return run;
}

// 3,000 perceptrons of GPUMemNet, Adam, A100 with 40 GB: one constant for the context.
TEST(MeasuredMemory, OfPerceptronsInTrainingIsWithinAPercent) {
  if (!std::filesystem::exists(kPerceptrons)) GTEST_SKIP() << kPerceptrons << " is not here";
  Result<LineSource> file = LineSource::open(kPerceptrons);
  ASSERT_TRUE(file.ok()) << file.error().message;
  std::vector<double> said, measured, differences;
  std::string_view line;
  for (auto more = file->next(line); more.ok() && *more; more = file->next(line)) {
    if (line.starts_with("Filename")) continue;
    const TrainingRun run = run_of(line);
    const RunConfig config = {RunMode::kTraining, NumberFormat::kFp32, Optimizer::kAdam};
    said.push_back(static_cast<double>(memory_use(run.graph, config).reserved) / kMiB);
    measured.push_back(run.measured_mib);
    differences.push_back(measured.back() - said.back());
  }
  ASSERT_EQ(said.size(), 3000);
  std::nth_element(differences.begin(), differences.begin() + 1500, differences.end());
  const double context = differences[1500];
  double error = 0, worst = 0;
  for (size_t i = 0; i < said.size(); ++i) {
    const double off = std::abs((said[i] + context) / measured[i] - 1);
    error += off / static_cast<double>(said.size());
    worst = std::max(worst, off);
  }
  RecordProperty("context_mib", static_cast<int>(context));
  RecordProperty("mean_error_ppm", static_cast<int>(1e6 * error));
  EXPECT_NEAR(context, 1450, 30);
  EXPECT_LT(error, 0.01);
  EXPECT_LT(worst, 0.25);
}

}  // namespace
}  // namespace auspex
