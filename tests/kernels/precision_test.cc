// SPDX-License-Identifier: Apache-2.0
// Networks in each precision against the double-precision reference: the rounding costs a stated
// share of what the outputs vary by.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/network.h"
#include "tests/fixtures/models.h"

namespace auspex {
namespace {

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
                              const std::vector<EncodedJob>& jobs, const Plan& plan) {
  std::vector<float> outputs(jobs.size() * kOutputCount, NAN);
  load_network(model, plan).value()->predict(jobs, outputs.data());
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

// Random weights near a normal distribution, not trained to be rounded.
// BF16: 2^-9 of each weight, averaging out. INT8: 1/127 of a column's largest of some hundreds to
// 20,000 weights (four deviations) adds 1/110 of each weight's own size, 1/255 of a sample's
// largest activation (three of them) 1/300 of an activation's; three layers and the largest of ten
// outputs double it. INT4: a fifteenth of five deviations, a tenth of each weight's own size, in
// each of two layers. 2:4: as
// INT8, of a network that has but two of each four weights.
double tolerance(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return 1e-5;
    case Precision::kBf16:
      return .01;
    case Precision::kInt8:
    case Precision::kInt8Pairs:
      return .03;
    case Precision::kInt4:
      return .3;
  }
  return 0;
}

TEST(Precisions, ANetworkIsTheReferenceButForTheRounding) {
  for (const auto& hidden :
       {std::vector<uint32_t>{512, 256, 128}, {1024, 512, 256}, {65, 33}, {40}}) {
    const ModelContent content = fixtures::random_model(hidden, 300, 3);
    for (const bool pairs : {false, true}) {
      const auto model = *ModelFile::of(pairs ? fixtures::paired(content) : content);
      const auto jobs = jobs_of(*model, 300, 300);
      const std::vector<float> truth = outputs_of(model, jobs, {"reference"});
      for (const AvailableBackend& backend : available_backends()) {
        if ((backend.precision == Precision::kInt8Pairs) != pairs) continue;
        for (const bool dense : {false, true}) {
          if (dense && hidden[0] > 65) continue;  // a minute in all
          const Plan plan = {backend.name, !dense, dense};
          EXPECT_LT(error_over_sd(outputs_of(model, jobs, plan), truth),
                    tolerance(backend.precision))
              << backend.name << ", hidden " << hidden[0] << (dense ? ", dense" : "");
        }
      }
    }
  }
}

// Rounded alike, summed exactly: what is left is the FP32 and BF16 of the first and last layer.
TEST(Precisions, InstructionSetsDifferAsFloatsDo) {
  const auto model = *ModelFile::of(fixtures::random_model({128, 100, 70}, 100, 3));
  const auto jobs = jobs_of(*model, 200, 100);
  for (size_t i = 0; i < kPrecisionNames.size(); ++i) {
    const auto names = available_backends(static_cast<Precision>(i));
    const std::vector<float> truth = outputs_of(model, jobs, {names.back()});
    for (const std::string& name : names) {
      // A sum that falls on the other side of a rounding border moves by a step, in few jobs.
      EXPECT_LT(error_over_sd(outputs_of(model, jobs, {name}), truth), 2e-4) << name;
    }
  }
}

TEST(Precisions, ABatchIsItsSamples) {
  const auto model = *ModelFile::of(fixtures::random_model({100, 70}, 10, 3));
  for (const AvailableBackend& backend : available_backends()) {
    for (const bool dense : {false, true}) {
      const Plan plan = {backend.name, !dense, dense};
      const auto network = load_network(model, plan).value();
      for (const size_t count : {0U, 1U, 2U, 47U, 48U, 49U, 97U, 150U}) {
        const auto jobs = jobs_of(*model, count, 10);
        std::vector<float> batch(count * kOutputCount, NAN), single(batch);
        network->predict(jobs, batch.data());
        for (size_t k = 0; k < count; ++k) {
          network->predict({&jobs[k], 1}, single.data() + k * kOutputCount);
        }
        for (size_t i = 0; i < single.size(); ++i) {
          // FP32 sums of the last layer in another order.
          ASSERT_NEAR(batch[i], single[i], 1e-5 * std::max(1.0F, std::abs(single[i])))
              << backend.name << ", batch of " << count << (dense ? ", dense" : "");
        }
      }
    }
  }
}

TEST(Precisions, ThreadsShareALargeBatch) {
  const auto model = *ModelFile::of(fixtures::random_model({100, 70}, 10, 3));
  for (const size_t count : {0U, 1U, 767U, 768U, 1153U, 4096U}) {
    const auto jobs = jobs_of(*model, count, 10);
    const auto alone = outputs_of(model, jobs, {"auto"});
    for (const uint32_t threads : {2U, 3U, 7U}) {
      const auto shared = outputs_of(model, jobs, {"auto", true, false, threads});
      ASSERT_EQ(shared.size(), alone.size());
      for (size_t i = 0; i < alone.size(); ++i) {
        ASSERT_NEAR(shared[i], alone[i], 1e-5 * std::max(1.0F, std::abs(alone[i])));
      }
    }
  }
}

TEST(Precisions, SkippedRowsAndAllRowsAddUpToTheSame) {
  const auto model = *ModelFile::of(fixtures::random_model({200, 130, 70}, 10, 3));
  const auto jobs = jobs_of(*model, 20, 10);
  for (const AvailableBackend& backend : available_backends()) {
    const auto skipping = load_network(model, Plan{backend.name, true}).value();
    const auto reading_all = load_network(model, Plan{backend.name, false}).value();
    for (const EncodedJob& job : jobs) {
      float skipped[kOutputCount], all[kOutputCount];
      skipping->predict({&job, 1}, skipped);
      reading_all->predict({&job, 1}, all);
      for (size_t i = 0; i < kOutputCount; ++i) {
        ASSERT_NEAR(skipped[i], all[i], 1e-5 * std::max(1.0F, std::abs(all[i]))) << backend.name;
      }
    }
  }
}

TEST(Precisions, AModelCanMixThem) {
  ModelContent content = fixtures::random_model({200, 130, 70}, 100, 3);
  const auto jobs = jobs_of(**ModelFile::of(content), 300, 100);
  const auto truth = outputs_of(*ModelFile::of(content), jobs, {"reference"});
  using enum Precision;
  for (const auto& mixed : {std::vector<Precision>{kFp32, kInt8, kBf16, kFp32},
                            {kInt8, kFp32, kInt8, kInt8},
                            {kBf16, kBf16, kInt8, kBf16},
                            {kInt8, kInt8, kFp32, kInt8}}) {
    content.precisions = mixed;
    const auto model = *ModelFile::of(content);
    for (const char* set : {"auto", "portable"}) {
      EXPECT_LT(error_over_sd(outputs_of(model, jobs, {set}), truth), .03)
          << precisions_text(mixed);
    }
    const auto network = load_network(model, "portable").value();
    EXPECT_EQ(network->backend(), precisions_text(mixed) + "-portable");
  }
  content.precisions = {kInt8, kInt4, kInt8Pairs, kBf16};
  const auto model = *ModelFile::of(content);
  const double between =
      error_over_sd(outputs_of(model, jobs, {"auto"}), outputs_of(model, jobs, {"portable"}));
  EXPECT_LT(between, 2e-4);
}

TEST(Precisions, ThePointerNetworkReadsTheHistoryAsTheReferenceDoes) {
  std::mt19937 random(9);
  std::normal_distribution<float> normal;
  const auto model = *ModelFile::of(fixtures::random_pointer_model({256, 128}, 32, 10, 7));
  const auto jobs = jobs_of(*model, 50, 10);
  for (const std::string& backend : available_backends(Precision::kInt8)) {
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

TEST(Precisions, WhatOverflowsIsNoNumber) {
  ModelContent content = fixtures::random_model({16, 16}, 10, 3);
  const size_t numbers = content.layers[0].weights.size() - kNumberCount * 16;
  std::fill(content.layers[0].weights.begin() + static_cast<std::ptrdiff_t>(numbers),
            content.layers[0].weights.end(), 3e38F);
  const auto model = *ModelFile::of(content);
  auto jobs = jobs_of(*model, 3, 10);
  jobs[0].numbers.fill(0);
  jobs[1].numbers.fill(7);
  jobs[2].numbers.fill(0);
  for (const std::string& backend : available_backends(Precision::kInt8)) {
    const std::vector<float> outputs = outputs_of(model, jobs, {backend});
    for (size_t i = 0; i < kOutputCount; ++i) {
      EXPECT_TRUE(std::isfinite(outputs[i])) << backend;
      EXPECT_TRUE(std::isnan(outputs[kOutputCount + i])) << backend;
      EXPECT_TRUE(std::isfinite(outputs[2 * kOutputCount + i])) << backend;
    }
    EXPECT_TRUE(std::isnan(outputs_of(model, {jobs[1]}, {backend})[0])) << backend;
  }
}

TEST(Precisions, TheLargestWeightsStayFinite) {
  ModelContent content = fixtures::random_model({16}, 10, 3);
  std::fill(content.layers[0].weights.begin(), content.layers[0].weights.end(), 0.0F);
  std::fill(content.layers[0].bias.begin(), content.layers[0].bias.end(), 1e-3F);
  std::fill(content.layers[1].weights.begin(), content.layers[1].weights.end(), 3.4e38F);
  const auto model = *ModelFile::of(content);
  for (const std::string& backend : available_backends(Precision::kInt8)) {
    const std::vector<float> outputs = outputs_of(model, std::vector<EncodedJob>(1), {backend});
    for (const float output : outputs) EXPECT_NEAR(output / 5.44e36F, 1, .01) << backend;
  }
}

TEST(Precisions, AModelIsLoadedInItsOwn) {
  ModelContent content = fixtures::random_model({16, 16}, 10, 3);
  content.precisions = precisions_of(Precision::kInt8, 3);
  EXPECT_EQ(load_network(*ModelFile::of(content)).value()->backend(),
            available_backends(Precision::kInt8).front());
}

TEST(Precisions, RefusesWhatItCannotDo) {
  using enum Precision;
  ModelContent content = fixtures::random_model({16, 16}, 10, 3);
  const auto refusal = [&content](const std::vector<Precision>& precisions) {
    content.precisions = precisions;
    const auto network = load_network(*ModelFile::of(content));
    return network.ok() ? "" : network.error().message;
  };
  EXPECT_EQ(refusal({kInt4, kInt8, kBf16}),
            "the first layer cannot be int4, INT8 is the coarsest it can be");
  EXPECT_EQ(refusal({kInt8, kInt8, kInt8}), "");
  content.layers[1].relu = false;
  EXPECT_EQ(refusal({kInt8, kInt8, kInt8}), "int8 needs ReLU before it: layer 2 has none");
  EXPECT_EQ(refusal({kInt8, kInt8, kBf16}), "");
  content = fixtures::random_model({1, 16}, 60'000, 3);
  EXPECT_NE(refusal({kInt8, kInt8, kBf16}).find("bytes of these narrow layers"), std::string::npos);
}

}  // namespace
}  // namespace auspex
