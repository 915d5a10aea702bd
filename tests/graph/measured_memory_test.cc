// SPDX-License-Identifier: Apache-2.0
// Memory of training as GPUMemNet measured it, with Adam, on an A100 with 40 GB. Needs
// ../shared/data, which a fresh machine lacks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <vector>

#include "graph/memory.h"
#include "shared/readers/line_source.h"
#include "tests/graph/gpumemnet.h"

namespace auspex {
namespace {

constexpr char kData[] = AUSPEX_SOURCE_DIR "/../shared/data/dl/gpumemnet/";
constexpr double kMiB = 1 << 20;
// PyTorch's cuBLAS before Hopper.
constexpr uint64_t kWorkspace = (uint64_t{8} << 20) + (uint64_t{128} << 10);

struct Row {
  std::string architecture;
  double said_mib, measured_mib;  // said: without the context
  bool out_of_memory;
};

std::vector<Row> rows_of(const std::string& name, const RunConfig& config, uint64_t workspace) {
  std::vector<Row> rows;
  Result<LineSource> file = LineSource::open(kData + name);
  EXPECT_TRUE(file.ok()) << file.error().message;
  std::string_view line;
  for (auto more = file->next(line); more.ok() && *more; more = file->next(line)) {
    const auto run = gpumemnet::run_of(line);
    if (!run) continue;
    const MemoryUse use = memory_use(run->graph, config, workspace);
    rows.push_back({run->architecture, static_cast<double>(use.reserved) / kMiB, run->measured_mib,
                    run->out_of_memory});
  }
  return rows;
}

double at(double share, std::vector<double> values) {
  const auto place = static_cast<size_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(place), values.end());
  return values[place];
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value / static_cast<double>(values.size());
  return sum;
}

std::vector<double> errors(const std::vector<double>& ratios) {
  std::vector<double> sizes;
  for (const double ratio : ratios) sizes.push_back(std::abs(ratio - 1));
  return sizes;
}

class MeasuredMemory : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kData)) GTEST_SKIP() << kData << " is not here";
  }
};

// 3,000 perceptrons: one constant for the context.
TEST_F(MeasuredMemory, OfPerceptronsIsWithinAPercent) {
  const auto rows = rows_of("mlp_data_step2.csv.xz",
                            {RunMode::kTraining, NumberFormat::kFp32, Optimizer::kAdam}, 0);
  ASSERT_EQ(rows.size(), 3000U);
  std::vector<double> differences, ratios;
  for (const Row& row : rows) differences.push_back(row.measured_mib - row.said_mib);
  const double context = at(0.5, differences);
  for (const Row& row : rows) ratios.push_back((row.said_mib + context) / row.measured_mib);
  EXPECT_NEAR(context, 1450, 30);
  EXPECT_LT(mean(errors(ratios)), 0.01);
  EXPECT_LT(at(1, errors(ratios)), 0.25);
}

// Convolutional nets of seven architectures: one constant again. PyTorch lets convolutions use
// TF32. A process that ends out of memory has asked for more than the card's 40.3 GB.
TEST_F(MeasuredMemory, OfConvolutionalNetsTellsWhoRunsOutOfIt) {
  constexpr double kContext = 1750, kCard = 40'300;
  // Less is no training: the process had ended before.
  constexpr double kLeast = 500;
  std::map<std::string, std::vector<double>> ratios;
  size_t crashed = 0, foretold = 0, rightly = 0;
  for (const Row& row :
       rows_of("cnn_data_step1_hist.csv.xz",
               {RunMode::kTraining, NumberFormat::kTf32, Optimizer::kAdam}, kWorkspace)) {
    if (row.measured_mib < kLeast) continue;
    const bool over = row.said_mib + kContext > kCard;
    crashed += row.out_of_memory;
    foretold += over;
    rightly += over && row.out_of_memory;
    if (row.out_of_memory) continue;
    const double ratio = (row.said_mib + kContext) / row.measured_mib;
    ratios[row.architecture].push_back(ratio);
    ratios["all"].push_back(ratio);
  }
  std::printf("%-12s %5s %6s %6s %6s %6s %6s\n", "said/measured", "rows", "p1", "median", "p99",
              "under1", "error");
  for (const auto& [name, values] : ratios) {
    const auto under = std::count_if(values.begin(), values.end(), [](double r) { return r < 1; });
    std::printf("%-13s %5zu %6.2f %6.2f %6.2f %6.2f %5.1f %%\n", name.c_str(), values.size(),
                at(0.01, values), at(0.5, values), at(0.99, values),
                static_cast<double>(under) / static_cast<double>(values.size()),
                100 * mean(errors(values)));
  }
  std::printf("out of memory: %zu, foretold %zu, of those rightly %zu\n", crashed, foretold,
              rightly);
  EXPECT_EQ(ratios.size(), 8U);
  EXPECT_GT(ratios["all"].size(), 1500U);
  EXPECT_GT(crashed, 350U);
  EXPECT_GE(static_cast<double>(rightly) / static_cast<double>(crashed), 0.99);
  EXPECT_GE(static_cast<double>(rightly) / static_cast<double>(foretold), 0.92);
  EXPECT_LT(mean(errors(ratios["all"])), 0.085);
  EXPECT_LT(at(0.5, errors(ratios["all"])), 0.065);
}

}  // namespace
}  // namespace auspex
