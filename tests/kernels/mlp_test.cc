// SPDX-License-Identifier: Apache-2.0
// Every backend against the double-precision reference.
#include "kernels/network.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "tests/fixtures/files.h"
#include "tests/fixtures/models.h"

namespace auspex {
namespace {

std::shared_ptr<const ModelFile> write_and_open(const ModelContent& content) {
  const fixtures::TemporaryFolder folder;
  EXPECT_TRUE(write_model_file(folder / "m", content).ok());
  auto model = ModelFile::open(folder / "m");
  EXPECT_TRUE(model.ok()) << model.error().message;
  return *model;
}

// Values 0..2 * values: half of them unknown to the model; every fifth missing.
std::vector<EncodedJob> random_jobs(const ModelFile& model, size_t count, uint32_t values) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<EncodedJob> jobs;
  for (size_t i = 0; i < count; ++i) {
    Features features;
    for (size_t field = 0; field < kCategoryCount; ++field) {
      if (random() % 5 != 0) {
        const auto value = static_cast<uint32_t>(random() % (2 * values));
        features.category[field] = fixtures::category_hash(field, value);
      }
    }
    for (auto& number : features.number) {
      number = random() % 5 == 0 ? std::nanf("") : 3 * normal(random);
    }
    jobs.push_back(model.encode(features));
  }
  return jobs;
}

std::vector<float> outputs_of(const std::shared_ptr<const ModelFile>& model,
                              const std::vector<EncodedJob>& jobs, std::string_view backend) {
  const auto network = load_network(model, backend);
  EXPECT_TRUE(network.ok()) << network.error().message;
  std::vector<float> outputs(jobs.size() * kOutputCount, -1e30F);
  (*network)->predict(jobs, outputs.data());
  return outputs;
}

void expect_agreement(const std::shared_ptr<const ModelFile>& model,
                      const std::vector<EncodedJob>& jobs) {
  const std::vector<float> truth = outputs_of(model, jobs, "reference");
  for (const std::string& name : available_backends(Precision::kFp32)) {
    const std::vector<float> outputs = outputs_of(model, jobs, name);
    for (size_t i = 0; i < truth.size(); ++i) {
      // FP32 sums of up to 1024 terms near one: relative 2^-24 each, growing with the square root.
      ASSERT_NEAR(outputs[i], truth[i], 2e-5 * std::max(1.0F, std::abs(truth[i])))
          << name << " output " << i % kOutputCount << " of job " << i / kOutputCount;
    }
  }
}

TEST(Mlp, BackendsAgreeWithTheReferenceOnEveryShape) {
  // Widths around the vector sizes (8, 16) and the block of eight rows, and the usual ones.
  const std::vector<std::vector<uint32_t>> shapes = {
      {1}, {7}, {8}, {9}, {15, 17}, {16, 16}, {33, 1, 5}, {512, 256, 128}, {1024, 512, 256}};
  for (const auto& hidden : shapes) {
    const auto model = write_and_open(fixtures::random_model(hidden, 10, 3));
    expect_agreement(model, random_jobs(*model, 33, 10));
  }
}

TEST(Mlp, ZeroAndOneJob) {
  const auto model = write_and_open(fixtures::random_model({16}, 3, 3));
  expect_agreement(model, {});
  expect_agreement(model, random_jobs(*model, 1, 3));
}

TEST(Mlp, JobsWithoutAnyRow) {
  const auto model = write_and_open(fixtures::constant_model(600));
  expect_agreement(model, std::vector<EncodedJob>(3));
}

TEST(Mlp, ReferenceIsTheFormula) {
  // One field known, one hidden unit: y = relu(w_row + b) * v + c, by hand.
  ModelContent content = fixtures::constant_model(600);
  content.fields[2].missing_row = 0;
  content.fields[2].unknown_row = 1;
  content.fields[2].rows = {{77, 2}};
  const auto inputs = static_cast<uint32_t>(3 + kNumberCount);
  const auto outputs = static_cast<uint32_t>(kOutputCount);
  content.layers = {
      {inputs, 1, std::vector<float>(inputs, 0), {0.5F}, true},
      {1, outputs, std::vector<float>(outputs, 2), std::vector<float>(outputs, 1), false}};
  content.layers[0].weights[0] = -3;  // missing: relu(-2.5) = 0
  content.layers[0].weights[1] = 1;   // unknown: 1.5
  content.layers[0].weights[2] = 4;   // known: 4.5
  const auto model = write_and_open(content);
  Features missing, unknown, known;
  unknown.category[2] = 5;
  known.category[2] = 77;
  const std::vector<EncodedJob> jobs = {model->encode(missing), model->encode(unknown),
                                        model->encode(known)};
  for (const std::string& name : available_backends(Precision::kFp32)) {
    const std::vector<float> y = outputs_of(model, jobs, name);
    EXPECT_FLOAT_EQ(y[0], 1) << name;
    EXPECT_FLOAT_EQ(y[kOutputCount], 4) << name;
    EXPECT_FLOAT_EQ(y[2 * kOutputCount], 10) << name;
  }
}

TEST(Mlp, TheNamedBackendIsTheOneThatRuns) {
  const auto model = write_and_open(fixtures::random_model({16}, 3, 3));
  for (const AvailableBackend& backend : available_backends()) {
    EXPECT_EQ((*load_network(model, backend.name))->backend(), backend.name);
  }
  EXPECT_EQ((*load_network(model, "auto"))->backend(),
            available_backends(Precision::kFp32).front());
  EXPECT_EQ(available_backends().back().name, "reference");
}

TEST(Mlp, AnUnknownBackendIsNamedWithTheKnownOnes) {
  const auto model = write_and_open(fixtures::random_model({16}, 3, 3));
  const auto network = load_network(model, "tpu");
  ASSERT_FALSE(network.ok());
  EXPECT_NE(network.error().message.find("\"tpu\" does not run here"), std::string::npos);
  EXPECT_NE(network.error().message.find("fp32-portable"), std::string::npos);
}

}  // namespace
}  // namespace auspex
