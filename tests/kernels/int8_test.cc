// SPDX-License-Identifier: Apache-2.0
// INT8: the sums are whole numbers and exact however they are added up; the rounding before them
// costs a stated share of what the outputs vary by.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/int8_functions.h"
#include "kernels/network.h"
#include "tests/fixtures/models.h"

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

// A layer whose outputs are the sums themselves.
struct Sums {
  uint32_t inputs, width;
  std::vector<int8_t> weights;  // Shape: [inputs][width], columns as they come
  std::vector<int8_t> rows, tiles;
  std::vector<float> ones, zeros;
  Int8Layer layer;

  template <class Weight>
  Sums(uint32_t inputs_, uint32_t width_, const Weight& weight)
      : inputs(inputs_), width(width_), ones(width, 1), zeros(width, 0) {
    rows.resize(size_t{inputs} * width);
    tiles.resize(rows.size());
    for (uint32_t i = 0; i < inputs; ++i) {
      for (uint32_t j = 0; j < width; ++j) {
        const auto w = static_cast<int8_t>(weight(i, j));
        weights.push_back(w);
        rows[i * width + row_place(j)] = w;
        tiles[j / 64 * 64 * inputs + i / 4 * 256 + j % 64 * 4 + i % 4] = w;
      }
    }
    layer = {inputs, width, false, rows.data(), tiles.data(), ones.data(), zeros.data()};
  }

  std::vector<float> by_hand(const std::vector<uint8_t>& q) const {
    std::vector<float> sums;
    for (uint32_t j = 0; j < width; ++j) {
      int32_t sum = 0;
      for (uint32_t i = 0; i < inputs; ++i) sum += q[i] * weights[i * width + j];
      sums.push_back(static_cast<float>(sum));
    }
    return sums;
  }
};

std::vector<uint8_t> random_bytes(size_t count, double zeros, std::mt19937& random) {
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) {
    const bool zero = std::uniform_real_distribution<>()(random) < zeros;
    byte = zero ? 0 : static_cast<uint8_t>(1 + random() % 255);
  }
  return bytes;
}

void expect_the_sums(const Sums& sums, const std::vector<uint8_t>& q, uint32_t samples) {
  std::vector<float> truth;
  for (uint32_t s = 0; s < samples; ++s) {
    const auto one = sums.by_hand({q.begin() + s * sums.inputs, q.begin() + (s + 1) * sums.inputs});
    truth.insert(truth.end(), one.begin(), one.end());
  }
  const std::vector<float> scale(samples, 1);
  std::vector<uint8_t> work((sums.inputs + 16) * 8);
  for (const Set& set : sets()) {
    std::vector<float> dense(truth.size(), NAN), sparse(truth.size(), NAN);
    set.functions->dense(sums.layer, q.data(), scale.data(), samples, dense.data());
    for (uint32_t s = 0; s < samples; ++s) {
      set.functions->sparse(sums.layer, q.data() + s * sums.inputs, 1, work.data(),
                            sparse.data() + s * sums.width);
    }
    EXPECT_EQ(dense, truth) << set.name << ", " << samples << " samples";
    EXPECT_EQ(sparse, truth) << set.name << ", rows of zeroes skipped";
  }
}

TEST(Int8, SumsAreExactInEveryShape) {
  std::mt19937 random(1);
  const auto weight = [&](uint32_t, uint32_t) { return static_cast<int>(random() % 255) - 127; };
  for (const uint32_t inputs : {64U, 128U, 512U}) {
    for (const uint32_t width : {64U, 192U, 256U, 320U}) {
      const Sums sums(inputs, width, weight);
      for (const double zeros : {0.0, .5, .97, 1.0}) {
        for (const uint32_t samples : {0U, 1U, 2U, 5U, 6U, 7U, 13U}) {
          expect_the_sums(sums, random_bytes(size_t{inputs} * samples, zeros, random), samples);
        }
      }
    }
  }
}

TEST(Int8, TheLargestSumsDoNotSaturate) {
  const std::vector<uint8_t> most(512, 255);
  for (const int weight : {127, -127}) {
    expect_the_sums(Sums(512, 64, [&](uint32_t, uint32_t) { return weight; }), most, 1);
  }
}

TEST(Int8, EachNumberOfActiveRowsIsFound) {
  std::mt19937 random(2);
  const Sums sums(64, 64,
                  [&](uint32_t, uint32_t) { return static_cast<int>(random() % 255) - 127; });
  for (uint32_t active = 0; active <= 64; ++active) {
    std::vector<uint8_t> q(64, 0);
    std::fill_n(q.begin(), active, 200);
    std::shuffle(q.begin(), q.end(), random);
    expect_the_sums(sums, q, 1);
  }
}

TEST(Int8, QuantizedIsNextToWhatItWas) {
  std::mt19937 random(3);
  for (const float size : {1e-6F, 1.0F, 1e6F}) {
    std::vector<float> x(192);
    for (float& value : x) value = std::max(0.0F, size * std::normal_distribution<float>()(random));
    const float largest = *std::max_element(x.begin(), x.end());
    std::vector<std::vector<uint8_t>> all;
    for (const Set& set : sets()) {
      std::vector<uint8_t> q(x.size(), 77);
      const float scale = set.functions->quantize(x.data(), 192, q.data());
      for (size_t i = 0; i < x.size(); ++i) {
        ASSERT_NEAR(static_cast<float>(q[i]) * scale, x[i], 0.501F * largest / 255) << set.name;
      }
      all.push_back(q);
    }
    for (const auto& q : all) EXPECT_EQ(q, all.front());
  }
}

TEST(Int8, NothingIsQuantizedToZeroes) {
  for (const float value : {0.0F, 1e-35F}) {
    const std::vector<float> x(64, value);
    for (const Set& set : sets()) {
      std::vector<uint8_t> q(64, 77);
      const float scale = set.functions->quantize(x.data(), 64, q.data());
      EXPECT_EQ(q, std::vector<uint8_t>(64, 0)) << set.name;
      EXPECT_TRUE(std::isfinite(scale));
    }
  }
}

TEST(Int8, GatheredRowsAddUp) {
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

// --- Networks

std::vector<EncodedJob> jobs_of(const ModelFile& model, size_t count, uint32_t values) {
  std::mt19937 random(11);
  std::vector<EncodedJob> jobs;
  for (size_t i = 0; i < count; ++i) {
    Features features;
    for (size_t field = 0; field < kCategoryCount; ++field) {
      features.category[field] =
          fixtures::category_hash(field, static_cast<uint32_t>(random() % values));
    }
    for (float& number : features.number) number = std::normal_distribution<float>()(random);
    jobs.push_back(model.encode(features));
  }
  return jobs;
}

std::vector<float> outputs_of(const std::shared_ptr<const ModelFile>& model,
                              const std::vector<EncodedJob>& jobs, std::string_view backend) {
  std::vector<float> outputs(jobs.size() * kOutputCount, NAN);
  load_network(model, backend).value()->predict(jobs, outputs.data());
  return outputs;
}

// Root mean square of the error, over the standard deviation of the output, the worst of all.
double error_over_sd(const std::vector<float>& outputs, const std::vector<float>& truth) {
  double worst = 0;
  const size_t jobs = truth.size() / kOutputCount;
  for (size_t output = 0; output < kOutputCount; ++output) {
    double sum = 0, squares = 0, errors = 0;
    for (size_t i = output; i < truth.size(); i += kOutputCount) {
      sum += truth[i];
      squares += truth[i] * truth[i];
      errors += std::pow(outputs[i] - truth[i], 2);
    }
    const double mean = sum / static_cast<double>(jobs);
    worst =
        std::max(worst, std::sqrt(errors / (squares - static_cast<double>(jobs) * mean * mean)));
  }
  return worst;
}

TEST(Int8, ANetworkIsTheReferenceButForTheRounding) {
  // Rounding to 1/127 of a column's largest of some 20,000 weights near a normal distribution (four
  // deviations) adds 1/110 of each weight's own size, to 1/255 of a sample's largest activation
  // (three of them) 1/300 of an activation's; three layers and the largest of ten outputs double
  // it.
  for (const auto& hidden :
       {std::vector<uint32_t>{512, 256, 128}, {1024, 512, 256}, {65, 33}, {40}}) {
    const auto model = *ModelFile::of(fixtures::random_model(hidden, 1000, 3));
    const auto jobs = jobs_of(*model, 500, 1000);
    const std::vector<float> truth = outputs_of(model, jobs, "reference");
    for (const auto backend : available_backends(Precision::kInt8)) {
      EXPECT_LT(error_over_sd(outputs_of(model, jobs, backend), truth), .03)
          << backend << ", hidden " << hidden[0];
    }
  }
}

TEST(Int8, ABatchIsItsSamples) {
  const auto model = *ModelFile::of(fixtures::random_model({100, 70}, 10, 3));
  for (const auto backend : available_backends(Precision::kInt8)) {
    for (const size_t count : {0U, 1U, 2U, 47U, 48U, 49U, 97U, 150U}) {
      const auto jobs = jobs_of(*model, count, 10);
      std::vector<float> single;
      for (const EncodedJob& job : jobs) {
        const auto one = outputs_of(model, {job}, backend);
        single.insert(single.end(), one.begin(), one.end());
      }
      EXPECT_EQ(outputs_of(model, jobs, backend), single) << backend << ", batch of " << count;
    }
  }
}

TEST(Int8, ThePointerNetworkReadsTheHistoryAsTheReferenceDoes) {
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  const auto model = *ModelFile::of(fixtures::random_pointer_model({256, 128}, 32, 10, 7));
  const auto jobs = jobs_of(*model, 50, 10);
  for (const auto backend : available_backends(Precision::kInt8)) {
    double distance = 0, unlike = 0;
    for (const EncodedJob& job : jobs) {
      HistoryView view{};
      view.log_limit_s = 11;
      view.log_s.fill(6);
      for (auto& inputs : view.item)
        std::generate(inputs.begin(), inputs.end(), [&] { return normal(random); });
      for (float& number : view.number) number = random() % 3 == 0 ? 0 : normal(random);
      const auto mixed = [&](std::string_view name, const HistoryView& seen) {
        Mixture mixture;
        load_network(model, name).value()->mix({&job, &seen}, mixture);
        return mixture;
      };
      const auto between = [](const Mixture& a, const Mixture& b) {
        double sum = 0;
        for (uint32_t i = 0; i < a.items; ++i) sum += std::abs(a.weight[i] - b.weight[i]);
        for (size_t i = 0; i < kBins; ++i) sum += std::abs(a.bin_weight[i] - b.bin_weight[i]);
        return sum / 2;
      };
      const Mixture truth = mixed("reference", view);
      distance += between(mixed(backend, view), truth) / static_cast<double>(jobs.size());
      HistoryView other = view;
      std::rotate(other.number.begin(), other.number.begin() + 1, other.number.end());
      unlike += between(mixed("reference", other), truth) / static_cast<double>(jobs.size());
    }
    // In total variation: what rounding moves, and what a history that is off by one place does.
    EXPECT_LT(distance, .02) << backend;
    EXPECT_GT(unlike, 10 * distance) << backend;
  }
}

TEST(Int8, WhatOverflowsIsNoNumber) {
  ModelContent content = fixtures::random_model({16, 16}, 10, 3);
  const size_t numbers = content.layers[0].weights.size() - kNumberCount * 16;
  std::fill(content.layers[0].weights.begin() + static_cast<std::ptrdiff_t>(numbers),
            content.layers[0].weights.end(), 3e38F);
  const auto model = *ModelFile::of(content);
  auto jobs = jobs_of(*model, 3, 10);
  jobs[0].numbers.fill(0);
  jobs[1].numbers.fill(7);
  jobs[2].numbers.fill(0);
  for (const auto backend : available_backends(Precision::kInt8)) {
    const std::vector<float> outputs = outputs_of(model, jobs, backend);
    for (size_t i = 0; i < kOutputCount; ++i) {
      EXPECT_TRUE(std::isfinite(outputs[i])) << backend;
      EXPECT_TRUE(std::isnan(outputs[kOutputCount + i])) << backend;
      EXPECT_TRUE(std::isfinite(outputs[2 * kOutputCount + i])) << backend;
    }
    EXPECT_TRUE(std::isnan(outputs_of(model, {jobs[1]}, backend)[0])) << backend;
  }
}

TEST(Int8, TheLargestWeightsStayFinite) {
  ModelContent content = fixtures::random_model({16}, 10, 3);
  std::fill(content.layers[0].weights.begin(), content.layers[0].weights.end(), 0.0F);
  std::fill(content.layers[0].bias.begin(), content.layers[0].bias.end(), 1e-3F);
  std::fill(content.layers[1].weights.begin(), content.layers[1].weights.end(), 3.4e38F);
  const auto model = *ModelFile::of(content);
  for (const auto backend : available_backends(Precision::kInt8)) {
    const std::vector<float> outputs = outputs_of(model, std::vector<EncodedJob>(1), backend);
    for (const float output : outputs) EXPECT_NEAR(output / 5.44e36F, 1, .01) << backend;
  }
}

TEST(Int8, IsWhatAModelOfThisPrecisionIsLoadedIn) {
  ModelContent content = fixtures::random_model({16, 16}, 10, 3);
  content.precision = Precision::kInt8;
  EXPECT_EQ(load_network(*ModelFile::of(content)).value()->backend(),
            available_backends(Precision::kInt8).front());
}

TEST(Int8, RefusesWhatItCannotDo) {
  const auto refusal = [](const ModelContent& content) {
    const auto network = load_network(*ModelFile::of(content));
    return network.ok() ? "" : network.error().message;
  };
  ModelContent content = fixtures::random_model({16, 16}, 10, 3);
  content.precision = Precision::kInt8;
  content.layers[1].relu = false;
  EXPECT_EQ(refusal(content), "INT8 needs ReLU behind each layer but the last: layer 2 has none");
  content.layers[1].relu = content.layers[2].relu = true;
  EXPECT_EQ(refusal(content), "INT8 needs ReLU behind each layer but the last: layer 3 has it");
  content = fixtures::random_model({1, 16}, 60'000, 3);
  content.precision = Precision::kInt8;
  EXPECT_NE(refusal(content).find("bytes of these narrow layers"), std::string::npos);
}

}  // namespace
}  // namespace auspex
