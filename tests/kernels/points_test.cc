// SPDX-License-Identifier: Apache-2.0
// The points of distributions that one can compute by hand, from every backend.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/network.h"
#include "tests/fixtures/models.h"

namespace auspex {
namespace {

struct Item {
  double runtime_s, scale, weight;
};

Mixture mixture_of(const std::vector<Item>& items) {
  Mixture m;
  m.log_limit_s = kLongestLogS;
  for (const Item& item : items) {
    m.log_s[m.items] = static_cast<float>(std::log(item.runtime_s));
    m.scale[m.items] = static_cast<float>(item.scale);
    m.weight[m.items++] = static_cast<float>(item.weight);
  }
  return m;
}

// How many scales from its middle a Laplace variable has this quantile.
double laplace_quantile(double level) {
  return level < 0.5 ? std::log(2 * level) : -std::log(2 * (1 - level));
}

std::string test_name(const testing::TestParamInfo<std::string>& backend) {
  std::string name = backend.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class OfEveryBackend : public testing::TestWithParam<std::string> {
 protected:
  MixturePoints points(const Mixture& m) const {
    const auto model = ModelFile::of(fixtures::deaf_pointer_model(600));
    return (*load_network(*model, GetParam()))->points(m);
  }
};
INSTANTIATE_TEST_SUITE_P(Points, OfEveryBackend,
                         testing::ValuesIn(available_backends(Precision::kFp32)), test_name);

TEST_P(OfEveryBackend, ASureItemIsAllQuantiles) {
  const double scale = std::exp(kLeastLogScale);
  const MixturePoints p = points(mixture_of({{600, scale, 1}}));
  for (size_t i = 0; i < kQuantileCount; ++i) {
    const double there = std::log(600) + scale * laplace_quantile(kQuantileLevels[i]);
    EXPECT_NEAR(p.outputs[i], there, 0.003) << kQuantileLevels[i];
  }
  EXPECT_FLOAT_EQ(p.outputs[kQuantileCount], static_cast<float>(std::log(600)));
  EXPECT_NEAR(p.confidence, 1 / (1 + scale), 1e-4);
  EXPECT_NEAR(p.mean_s, 600, 0.11 * 600);  // a bin's mass counts at its middle
}

TEST_P(OfEveryBackend, AWideItemHasTheQuantilesOfItsKernel) {
  const MixturePoints p = points(mixture_of({{3600, 0.5, 1}}));
  for (size_t i = 0; i < kQuantileCount; ++i) {
    const double there = std::log(3600) + 0.5 * laplace_quantile(kQuantileLevels[i]);
    EXPECT_NEAR(p.outputs[i], there, 0.003) << kQuantileLevels[i];
  }
  EXPECT_NEAR(p.confidence, 1 / 1.5, 1e-4);
}

TEST_P(OfEveryBackend, OfTwoItemsTheWeightierHasTheMedian) {
  const double scale = std::exp(kLeastLogScale), first = std::log(60), second = std::log(3600);
  const MixturePoints p = points(mixture_of({{60, scale, 0.3}, {3600, scale, 0.7}}));
  for (size_t i = 0; i < kQuantileCount; ++i) {
    EXPECT_NEAR(p.outputs[i], kQuantileLevels[i] < 0.3 ? first : second, 0.03)
        << kQuantileLevels[i];
  }
  EXPECT_FLOAT_EQ(p.outputs[kQuantileCount], static_cast<float>(second));
  EXPECT_NEAR(p.confidence, 0.7 / (1 + scale) + 0.3 / 60, 1e-3);
}

TEST_P(OfEveryBackend, OfThreeItemsTheOneBetweenIsMostAccurate) {
  const double scale = std::exp(kLeastLogScale);
  const MixturePoints p =
      points(mixture_of({{100, scale, 0.35}, {110, scale, 0.3}, {121, scale, 0.35}}));
  EXPECT_FLOAT_EQ(p.outputs[kQuantileCount], static_cast<float>(std::log(110)));
  EXPECT_NEAR(p.confidence, 0.7 / 1.1 + 0.3, 0.01);
}

TEST_P(OfEveryBackend, ABinIsSpreadEvenly) {
  Mixture m = mixture_of({});
  m.bin_weight[30] = 1;
  const MixturePoints p = points(m);
  for (size_t i = 0; i < kQuantileCount; ++i) {
    const double there = (30 + kQuantileLevels[i]) * kBinWidth;
    EXPECT_NEAR(p.outputs[i], there, 0.003) << kQuantileLevels[i];
  }
  EXPECT_NEAR(p.outputs[3], bin_middle(30), 0.003);
  EXPECT_FLOAT_EQ(p.outputs[kQuantileCount], bin_middle(30));
  EXPECT_NEAR(p.confidence, 1, 1e-5);
  EXPECT_NEAR(p.mean_s, std::exp(bin_middle(30)), 1e-3 * std::exp(bin_middle(30)));
}

TEST_P(OfEveryBackend, TheFirstAndTheLastBinCount) {
  for (const size_t bin : {size_t{0}, kBins - 1}) {
    Mixture m = mixture_of({});
    m.bin_weight[bin] = 1;
    EXPECT_NEAR(points(m).outputs[3], bin_middle(bin), 0.003) << bin;
  }
}

TEST_P(OfEveryBackend, ALimitInsideABinEndsIt) {
  Mixture m = mixture_of({});
  m.bin_weight[30] = 1;
  m.log_limit_s = 30.3F * kBinWidth;
  const MixturePoints p = points(m);
  EXPECT_NEAR(p.outputs[2], 30.25 * kBinWidth, 0.003);
  EXPECT_EQ(p.outputs[3], m.log_limit_s);
  EXPECT_EQ(p.outputs[8], m.log_limit_s);
  EXPECT_EQ(p.outputs[kQuantileCount], m.log_limit_s);
  EXPECT_NEAR(p.mean_s, std::exp(m.log_limit_s), 1e-3 * p.mean_s);
}

TEST_P(OfEveryBackend, AScaleOfOneIsNoGapInTheFormula) {
  for (const double scale : {1.0, 0.99995, 1.00005, 0.9995, 1.0005, 0.9985, 1.0015, 0.99, 1.01}) {
    EXPECT_NEAR(points(mixture_of({{600, scale, 1}})).confidence, 1 / (1 + scale), 1e-3) << scale;
    // Seen from a sure item at a distance: of two things of equal weight it is the better point.
    const Mixture m = mixture_of({{600, scale, 0.5}, {1800, 0.01, 0.5}});
    const MixturePoints p = points(m);
    EXPECT_FLOAT_EQ(p.outputs[kQuantileCount], m.log_s[1]) << scale;
    const double d = std::log(3);
    EXPECT_NEAR(p.confidence, 0.5 / 1.01 + 0.25 * (1 + d) * std::exp(-d), 3e-3) << scale;
  }
}

}  // namespace
}  // namespace auspex
