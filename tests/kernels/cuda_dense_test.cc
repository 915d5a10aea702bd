// SPDX-License-Identifier: Apache-2.0
// The one-hot as it is, on a GPU, against the double-precision reference.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/routes.h"
#include "tests/kernels/cuda_fixture.h"

namespace auspex {
namespace {

using testing::HasSubstr;

using CudaDense = Cuda;
using CudaDenseAtSize = CudaAtSize;
// Has a part of the inputs for each of a job's rows, or a step for each part.
using CudaDenseOfManyProcessors =
    OtherCard<[](emulated::Settings& card) { card.processors = 132; }>;
using CudaDenseOfLittleMemory =
    OtherCard<[](emulated::Settings& card) { card.shared_bytes = 48 << 10; }>;

Plan dense(const std::string& backend) {
  return {backend, true, true};
}

void expect_agreement(const std::vector<Hidden>& shapes, const std::vector<size_t>& counts,
                      uint32_t values) {
  for (const Hidden& hidden : shapes) {
    const ModelContent content = fixtures::random_model(hidden, values, 3);
    for (const Technique& technique : kAll) {
      const auto model = *ModelFile::of(technique.pairs ? fixtures::paired(content) : content);
      const auto reference = *load_network(model, "reference");
      const auto network = loaded(model, dense(technique.name));
      EXPECT_EQ(network->backend(), technique.name);
      for (const size_t count : counts) {
        const auto jobs = random_jobs(*model, count, static_cast<uint32_t>(count));
        const std::vector<float> outputs = outputs_of(*network, jobs);
        if (count == 0) continue;
        const auto truth = outputs_of(*reference, some_of(jobs));
        EXPECT_LT(error_over_sd(some_of(outputs, count), truth), technique.tolerance)
            << technique.name << ", hidden " << hidden[0] << ", " << count << " jobs";
      }
    }
  }
}

// Columns that are a warp's, one less, one more; columns of several blocks; tiles of both sizes and
// their neighbours; of the inputs the last step is not whole.
TEST_F(CudaDense, AgreesWithTheReference) {
  expect_agreement({{64, 32}}, {0, 1, 2, 15, 16, 17, 64, 65}, kValues);
  expect_agreement({{31}, {161, 40, 17}}, {1, 17, 65}, 12);
}

TEST_F(CudaDenseAtSize, AgreesWithTheReference) {
  expect_agreement({{512, 256, 128}}, {1, 16, 17, 64, 1023, 4096, 16384, 16385}, 1414);
  expect_agreement({{2048, 1024, 512}, {1000, 70}}, {1, 16, 17, 64, 1023, 20001}, kValues);
}

TEST_F(CudaDenseOfManyProcessors, PartsOfTheInputsAreAddedUp) {
  expect_agreement({{33, 32}}, {1, 16, 17}, kValues);
}

// As many rows as a job can have, and none; the first of all rows and the last.
TEST_F(CudaDense, MultipliesTheFirstRowAndTheLast) {
  const auto model = *ModelFile::of(fixtures::random_model({40, 20}, kValues, 3));
  const uint32_t rows = model->layers().front().inputs - model->dense_inputs();
  std::vector<EncodedJob> jobs = random_jobs(*model, 18);
  jobs[0].row_count = 0;
  for (size_t i = 1; i < jobs.size(); ++i) {
    jobs[i].row_count = kCategoryCount;
    for (uint32_t k = 0; k < kCategoryCount; ++k) jobs[i].rows[k] = k;
    jobs[i].rows[i % kCategoryCount] = rows - 1;
  }
  const auto truth = outputs_of(**load_network(model, "reference"), jobs);
  for (const char* const backend : {"fp32-cuda", "bf16-cuda", "int8-cuda"}) {
    const auto network = loaded(model, dense(backend));
    EXPECT_LT(error_over_sd(outputs_of(*network, jobs), truth), tolerance_of(backend)) << backend;
  }
}

TEST_F(CudaDense, WhatOverflowsIsNoNumber) {
  ModelContent content = fixtures::random_model({16, 16}, 10, 3);
  std::fill_n(content.layers[0].weights.begin(), 16 * 3, 3e38F);  // of three rows
  const auto model = *ModelFile::of(content);
  for (const size_t count : {3U, 20U}) {
    auto jobs = random_jobs(*model, count);
    for (EncodedJob& job : jobs) {
      job.row_count = kCategoryCount;
      for (uint32_t i = 0; i < kCategoryCount; ++i) job.rows[i] = 20 + i;
    }
    for (uint32_t i = 0; i < 3; ++i) jobs[1].rows[i] = i;
    for (const char* const backend : {"fp32-cuda", "tf32-cuda", "bf16-cuda", "int8-cuda"}) {
      const std::vector<float> outputs = outputs_of(*loaded(model, dense(backend)), jobs);
      for (size_t i = 0; i < outputs.size(); ++i) {
        EXPECT_EQ(std::isnan(outputs[i]), i / kOutputCount == 1) << backend << ", " << i;
      }
    }
  }
}

TEST_F(CudaDense, TellsItsOwnTime) {
  const auto model = *ModelFile::of(fixtures::random_model({64, 32}, kValues, 3));
  const auto network = loaded(model, dense("bf16-cuda"));
  for (const size_t count : {1U, 20U}) {
    const auto times = cuda_times_us(*network, random_jobs(*model, count), 3);
    ASSERT_TRUE(times.ok()) << times.error().message;
    EXPECT_EQ(times->size(), 3);
  }
}

TEST_F(CudaDenseOfLittleMemory, IsRefused) {
  const auto model = *ModelFile::of(fixtures::random_model({64, 32}, kValues, 3));
  EXPECT_THAT(load_network(model, dense("bf16-cuda")).error().message,
              HasSubstr("a dense input is more than a block's memory"));
  EXPECT_TRUE(load_network(model, "bf16-cuda").ok());
}

// A comparison is nothing that a daemon goes by.
TEST_F(CudaDense, IsNoRoute) {
  emulated::Settings* const settings = emulated::settings();
  if (!settings) GTEST_SKIP() << "a real card does not count launches";
  const auto model = *ModelFile::of(fixtures::random_model({64, 32}, kValues, 3));
  ASSERT_TRUE(Routes::measure(model).ok());
  EXPECT_EQ(settings->dense_launches, 0);
  outputs_of(*loaded(model, dense("fp32-cuda")), random_jobs(*model, 1));
  EXPECT_EQ(settings->dense_launches, 1);
}

}  // namespace
}  // namespace auspex
