// SPDX-License-Identifier: Apache-2.0
// The integer kernels: their sums are whole numbers and exact however they are added up.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "kernels/arrange.h"
#include "kernels/int8_functions.h"

namespace auspex {
namespace {

struct Set {
  const char* name;
  const Int8Functions* functions;
};

std::vector<Set> sets() {
  std::vector<Set> all = {{"portable", &kInt8Portable}};
  if (__builtin_cpu_supports("avx2")) all.push_back({"avx2", &kInt8Avx2});
  if (__builtin_cpu_supports("avx512bw")) all.push_back({"avx512", &kInt8Avx512});
  if (__builtin_cpu_supports("avx512vnni")) all.push_back({"vnni", &kInt8Vnni});
  return all;
}

// One way to compute a layer, and the arrangement it reads.
struct Form {
  Precision precision;
  uint32_t steps;  // of the input
  uint32_t width;  // outputs are padded to
  int largest;     // weight
  Packed<int8_t> (*rows)(const RoundedWeights&, uint32_t, uint32_t);
  Packed<int8_t> (*tiles)(const RoundedWeights&, uint32_t, uint32_t);
};
constexpr Form kInt8 = {Precision::kInt8, kInt8Steps, 64, 127, int8_rows, int8_tiles};
constexpr Form kInt4 = {Precision::kInt4, kInt4Steps, 128, 7, int4_rows, int4_tiles};
constexpr Form kPairs = {Precision::kInt8Pairs, kInt8Steps, 64, 127, int8_rows, pair_tiles};

struct Functions {
  SparseFunction sparse;
  DenseFunction dense;
};
Functions functions_of(const Int8Functions& set, const Form& form) {
  if (form.precision == Precision::kInt4) return {set.int4_sparse, set.int4_dense};
  if (form.precision == Precision::kInt8Pairs) return {nullptr, set.pairs_dense};
  return {set.sparse, set.dense};
}

// A layer whose outputs are the sums themselves.
struct Sums {
  const Form& form;
  uint32_t inputs, width;
  RoundedWeights weights;
  Packed<int8_t> rows, tiles;
  std::vector<float> ones, zeros;
  Int8Layer layer;

  template <class Weight>
  Sums(const Form& form_, uint32_t inputs_, uint32_t outputs, const Weight& weight)
      : form(form_),
        inputs(inputs_),
        width(padded(outputs, form.width)),
        ones(width, 1),
        zeros(width, 0) {
    weights = {inputs, outputs, {}, {}};
    for (uint32_t i = 0; i < inputs; ++i) {
      for (uint32_t j = 0; j < outputs; ++j) {
        weights.values.push_back(static_cast<int8_t>(there(i, j) ? weight(i, j) : 0));
      }
    }
    rows = form.rows(weights, inputs, width);
    tiles = form.tiles(weights, inputs, width);
    layer = {inputs, width, false, rows.data(), tiles.data(), ones.data(), zeros.data()};
  }

  // 2:4: two rows of each four, others in other columns, in all six ways.
  bool there(uint32_t i, uint32_t j) const {
    constexpr uint32_t kWays[6] = {0b0011, 0b0101, 0b1001, 0b0110, 0b1010, 0b1100};
    return form.precision != Precision::kInt8Pairs || (kWays[(i / 4 + j) % 6] >> i % 4 & 1) != 0;
  }

  std::vector<float> by_hand(std::span<const uint8_t> q) const {
    std::vector<float> sums(width, 0);
    for (uint32_t j = 0; j < weights.columns; ++j) {
      int32_t sum = 0;
      for (uint32_t i = 0; i < inputs; ++i) sum += q[i] * weights.values[i * weights.columns + j];
      sums[j] = static_cast<float>(sum);
    }
    return sums;
  }
};

std::vector<uint8_t> random_bytes(size_t count, uint32_t most, double zeros, std::mt19937& random) {
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) {
    const bool zero = std::uniform_real_distribution<>()(random) < zeros;
    byte = static_cast<uint8_t>(zero ? 0 : 1 + random() % most);
  }
  return bytes;
}

void expect_the_sums(const Sums& sums, const std::vector<uint8_t>& q, uint32_t samples) {
  std::vector<float> truth;
  for (uint32_t s = 0; s < samples; ++s) {
    const auto one = sums.by_hand(std::span(q).subspan(size_t{s} * sums.inputs, sums.inputs));
    truth.insert(truth.end(), one.begin(), one.end());
  }
  const std::vector<float> scale(samples, 1);
  std::vector<uint8_t> work((sums.inputs + 16) * 8);
  for (const Set& set : sets()) {
    const Functions functions = functions_of(*set.functions, sums.form);
    const std::string name = set.name + (" " + std::string(precision_name(sums.form.precision)));
    if (functions.dense) {
      std::vector<float> y(truth.size(), NAN);
      functions.dense(sums.layer, q.data(), scale.data(), samples, y.data());
      EXPECT_EQ(y, truth) << name << ", " << samples << " samples";
    }
    if (functions.sparse) {
      std::vector<float> y(truth.size(), NAN);
      for (uint32_t s = 0; s < samples; ++s) {
        functions.sparse(sums.layer, q.data() + size_t{s} * sums.inputs, 1, work.data(),
                         y.data() + size_t{s} * sums.width);
      }
      EXPECT_EQ(y, truth) << name << ", rows of zeroes skipped";
    }
  }
}

class IntegerForm : public testing::TestWithParam<Form> {
 protected:
  auto random_weight() {
    const int largest = GetParam().largest;
    return [this, largest](uint32_t, uint32_t) {
      return static_cast<int>(random_() % (2U * static_cast<uint32_t>(largest) + 1)) - largest;
    };
  }
  std::mt19937 random_{1};
};
INSTANTIATE_TEST_SUITE_P(, IntegerForm, testing::Values(kInt8, kInt4, kPairs), [](const auto& it) {
  return std::string(
      it.param.precision == Precision::kInt8Pairs ? "pairs" : precision_name(it.param.precision));
});

TEST_P(IntegerForm, SumsAreExactInEveryShape) {
  for (const uint32_t inputs : {64U, 128U, 512U}) {
    for (const uint32_t outputs : {1U, 64U, 129U, 192U, 256U, 320U}) {
      const Sums sums(GetParam(), inputs, outputs, random_weight());
      for (const double zeros : {0.0, .5, .97, 1.0}) {
        for (const uint32_t samples : {0U, 1U, 2U, 4U, 5U, 6U, 7U, 13U}) {
          const size_t count = size_t{inputs} * samples;
          expect_the_sums(sums, random_bytes(count, GetParam().steps, zeros, random_), samples);
        }
      }
    }
  }
}

TEST_P(IntegerForm, TheLargestSumsDoNotSaturate) {
  for (const uint32_t inputs : {512U, 16384U}) {
    const std::vector<uint8_t> most(inputs, static_cast<uint8_t>(GetParam().steps));
    for (const int sign : {1, -1}) {
      const auto weight = [&](uint32_t, uint32_t) { return sign * GetParam().largest; };
      expect_the_sums(Sums(GetParam(), inputs, 64, weight), most, 1);
    }
  }
}

TEST_P(IntegerForm, EachNumberOfActiveRowsIsFound) {
  const Sums sums(GetParam(), 64, 64, random_weight());
  for (uint32_t active = 0; active <= 64; ++active) {
    std::vector<uint8_t> q(64, 0);
    std::fill_n(q.begin(), active, 100);
    std::shuffle(q.begin(), q.end(), random_);
    expect_the_sums(sums, q, 1);
  }
}

TEST(Integers, QuantizedIsNextToWhatItWas) {
  std::mt19937 random(3);
  for (const float size : {1e-6F, 1.0F, 1e6F}) {
    std::vector<float> x(192);
    for (float& value : x) value = std::max(0.0F, size * std::normal_distribution<float>()(random));
    const float largest = *std::max_element(x.begin(), x.end());
    for (const uint32_t steps : {kInt8Steps, kInt4Steps}) {
      std::vector<std::vector<uint8_t>> all;
      for (const Set& set : sets()) {
        std::vector<uint8_t> q(x.size(), 255);
        const float scale = set.functions->quantize(x.data(), 192, steps, q.data());
        const float step = largest / static_cast<float>(steps);
        for (size_t i = 0; i < x.size(); ++i) {
          ASSERT_NEAR(static_cast<float>(q[i]) * scale, x[i], 0.501F * step) << set.name;
          ASSERT_LE(q[i], steps) << set.name;
        }
        all.push_back(q);
      }
      for (const auto& q : all) EXPECT_EQ(q, all.front());
    }
  }
}

TEST(Integers, NothingIsQuantizedToZeroes) {
  for (const float value : {0.0F, 1e-35F}) {
    const std::vector<float> x(64, value);
    for (const Set& set : sets()) {
      std::vector<uint8_t> q(64, 77);
      const float scale = set.functions->quantize(x.data(), 64, kInt8Steps, q.data());
      EXPECT_EQ(q, std::vector<uint8_t>(64, 0)) << set.name;
      EXPECT_TRUE(std::isfinite(scale));
    }
  }
}

TEST(Integers, GatheredRowsAddUp) {
  std::mt19937 random(4);
  for (const uint32_t count : {0U, 1U, 14U, 255U}) {
    std::vector<int8_t> table(255 * 128);
    for (int8_t& weight : table) weight = static_cast<int8_t>(random() % 255 - 127);
    if (count == 255) std::fill(table.begin(), table.end(), int8_t{-127});
    std::vector<const int8_t*> rows;
    for (uint32_t k = 0; k < count; ++k) rows.push_back(table.data() + size_t{k} * 128);
    std::vector<float> scales(128), bias(128), truth;
    for (float& scale : scales) scale = 0.5F;
    for (float& value : bias) value = 3;
    for (uint32_t j = 0; j < 128; ++j) {
      int32_t sum = 0;
      for (const int8_t* row : rows) sum += row[j];
      truth.push_back(static_cast<float>(sum) * 0.5F + 3);
    }
    for (const Set& set : sets()) {
      std::vector<float> y(128, NAN);
      set.functions->gather(rows.data(), count, scales.data(), bias.data(), 128, y.data());
      EXPECT_EQ(y, truth) << set.name << ", " << count << " rows";
    }
  }
}

TEST(Rounding, OfEachFourTheTwoLargestStay) {
  const std::vector<float> weights = {1, -4, 2, 3, 0, 0, 5, 0, 2, 2, 2, 2, 7, -8};
  const LayerView layer = {14, 1, weights.data(), nullptr, false, Precision::kInt8Pairs};
  const RoundedWeights pairs = rounded(layer, 14, layer.precision);
  std::vector<int> kept;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (pairs.values[i] != 0) kept.push_back(static_cast<int>(i));
  }
  EXPECT_EQ(kept, (std::vector<int>{1, 3, 6, 8, 9, 12, 13}));
  EXPECT_EQ(pairs.values[13], -127);
}

TEST(Rounding, Int8TakesAColumnsLargestToItsLastStep) {
  const std::vector<float> weights = {0, 127, 1, -63.4F, 0, 2, 0, .5F};  // two columns
  const LayerView layer = {4, 2, weights.data(), nullptr, false, Precision::kInt8};
  const RoundedWeights out = rounded(layer, 4, layer.precision);
  EXPECT_EQ(out.values, (std::vector<int8_t>{0, 127, 127, -63, 0, 2, 0, 0}));
  EXPECT_FLOAT_EQ(out.scales[1], 1);
}

TEST(Rounding, Int4LetsOneLargeWeightNotFlattenTheOthers) {
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> weights(256);
  for (float& weight : weights) weight = normal(random);
  weights[7] = 6;
  const LayerView layer = {256, 1, weights.data(), nullptr, false, Precision::kInt4};
  const RoundedWeights out = rounded(layer, 256, layer.precision);
  const auto error = [&](float scale) {
    double sum = 0;
    for (const float weight : weights) {
      const float off = weight - std::clamp(std::nearbyint(weight / scale), -7.0F, 7.0F) * scale;
      sum += off * off;
    }
    return sum;
  };
  EXPECT_LT(error(out.scales[0]), 0.7 * error(6.0F / 7));
  for (size_t i = 0; i < weights.size(); ++i) {
    ASSERT_LE(std::abs(int{out.values[i]}), 7);
    if (i == 7) continue;
    ASSERT_NEAR(static_cast<float>(out.values[i]) * out.scales[0], weights[i], 1);
  }
}

}  // namespace
}  // namespace auspex
