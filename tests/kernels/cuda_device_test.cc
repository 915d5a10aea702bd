// SPDX-License-Identifier: Apache-2.0
// The kernels on a GPU against the double-precision reference: on an emulated card everywhere, and
// on a real one by tests/gpu/run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "kernels/routes.h"
#include "tests/kernels/cuda_fixture.h"

namespace auspex {
namespace {

using testing::HasSubstr;

using CudaOfOneProcessor = OtherCard<[](emulated::Settings& card) { card.processors = 1; }>;
using CudaWithoutClusters = OtherCard<[](emulated::Settings& card) { card.peers = 1; }>;
using CudaOfLittleMemory =
    OtherCard<[](emulated::Settings& card) { card.shared_bytes = 24 << 10; }>;

// The first's answers for some of the jobs, and the truth about them.
void expect_agreement(const std::vector<Hidden>& shapes, const std::vector<size_t>& counts) {
  for (const Hidden& hidden : shapes) {
    for (const bool pairs : {false, true}) {
      const ModelContent content = fixtures::random_model(hidden, kValues, 3);
      const auto model = *ModelFile::of(pairs ? fixtures::paired(content) : content);
      const auto reference = *load_network(model, "reference");
      std::vector<std::pair<std::string, std::shared_ptr<const Network>>> networks;
      for (const Technique& technique : kAll) {
        if (technique.pairs == pairs)
          networks.emplace_back(technique.name, loaded(model, technique.name));
      }
      for (const size_t count : counts) {
        const auto jobs = random_jobs(*model, count, static_cast<uint32_t>(count));
        const std::vector<float> truth = outputs_of(*reference, some_of(jobs));
        for (const auto& [name, network] : networks) {
          const std::vector<float> outputs = outputs_of(*network, jobs);
          if (count == 0) continue;
          EXPECT_LT(error_over_sd(some_of(outputs, count), truth), tolerance_of(name))
              << name << ", hidden " << hidden[0] << ", " << count << " jobs";
        }
      }
      EXPECT_EQ(cuda_state().fault, "");
    }
  }
}

// A network of its own size for every edge: multiples of what is padded, one less, one more, and
// shapes that leave whole warps without work. Jobs: none, one, the most that clusters take, tiles
// and their neighbours.
const std::vector<Hidden> kEdges = {{64, 32}, {65, 33, 31}, {40}, {1}, {130, 96, 17}};

TEST_F(Cuda, AgreesWithTheReference) {
  expect_agreement(kEdges, {0, 1, 2, 16, 17, 33});
}

TEST_F(CudaAtSize, AgreesWithTheReference) {
  const std::vector<size_t> counts = {1,  2,  7,  8,   9,    15,   16,   17,   31,    32,   33,
                                      63, 64, 65, 127, 1055, 1057, 4095, 4097, 16384, 20001};
  expect_agreement(kEdges, counts);
  expect_agreement({{512, 256, 128}, {1024, 512, 256}, {2048, 1024, 512}, {777, 333}}, counts);
}

// A card of one multiprocessor takes large tiles for few jobs.
TEST_F(CudaOfOneProcessor, TakesEachSizeOfTilesAndItsNeighbours) {
  for (const Hidden& hidden : {Hidden{96, 70}, Hidden{600, 33}}) {
    const ModelContent content = fixtures::random_model(hidden, kValues, 3);
    for (const Technique& technique : kAll) {
      const auto model = *ModelFile::of(technique.pairs ? fixtures::paired(content) : content);
      const auto network = loaded(model, technique.name);
      for (const size_t count : {31U, 32U, 33U, 63U, 64U, 65U}) {
        if (hidden[0] > 96 && count != 65) continue;  // a wide first layer, once
        const auto jobs = random_jobs(*model, count);
        const auto truth = outputs_of(**load_network(model, "reference"), jobs);
        EXPECT_LT(error_over_sd(outputs_of(*network, jobs), truth), technique.tolerance)
            << technique.name << ", hidden " << hidden[0] << ", " << count << " jobs";
      }
    }
  }
}

// Both kernels round weights alike; what differs is that only the one for many rounds inputs.
TEST_F(Cuda, ATileIsItsSamples) {
  const auto model = *ModelFile::of(fixtures::random_model({130, 70}, kValues, 3));
  const auto jobs = random_jobs(*model, 40);
  for (const Technique& technique : kAll) {
    const auto network = loaded(model, technique.name);
    const std::vector<float> many = outputs_of(*network, jobs);
    std::vector<float> singles;
    for (const EncodedJob& job : jobs) {
      const std::vector<float> one = outputs_of(*network, {job});
      singles.insert(singles.end(), one.begin(), one.end());
    }
    EXPECT_LT(error_over_sd(many, singles), std::min(technique.tolerance, .015)) << technique.name;
  }
}

// Jobs and outputs that lie where the card reads and writes them, and such as only begin there.
TEST_F(Cuda, InARoomNothingIsCopied) {
  const auto model = *ModelFile::of(fixtures::random_model({64, 32}, kValues, 3));
  const auto network = loaded(model, "int8-cuda");
  const auto jobs = random_jobs(*model, 40);
  const std::vector<float> truth = outputs_of(*network, jobs);
  const size_t jobs_bytes = jobs.size() * sizeof(EncodedJob);
  const size_t outputs_bytes = truth.size() * sizeof(float);
  const auto room = cuda_room(jobs_bytes + outputs_bytes);
  ASSERT_TRUE(room.ok()) << room.error().message;
  auto* const there = static_cast<EncodedJob*>(room->get());
  auto* const outputs = reinterpret_cast<float*>(there + jobs.size());
  EXPECT_THAT(std::vector<float>(outputs, outputs + truth.size()), testing::Each(0.0F));
  std::ranges::copy(jobs, there);
  network->predict({there, jobs.size()}, outputs);
  EXPECT_EQ(std::vector<float>(outputs, outputs + truth.size()), truth);
  // Some from the middle on.
  std::fill_n(outputs, truth.size(), 0.0F);
  network->predict({there + 10, 20}, outputs + 10 * kOutputCount);
  for (size_t i = 0; i < truth.size(); ++i) {
    const bool asked = i >= 10 * kOutputCount && i < 30 * kOutputCount;
    EXPECT_EQ(outputs[i], asked ? truth[i] : 0) << i;
  }
  // Only one of the two.
  std::vector<float> elsewhere(truth.size());
  network->predict({there, jobs.size()}, elsewhere.data());
  EXPECT_EQ(elsewhere, truth);
  network->predict(jobs, outputs);
  EXPECT_EQ(std::vector<float>(outputs, outputs + truth.size()), truth);
}

// More than a lane has room for.
TEST_F(Cuda, InARoomAreMoreJobsThanOneLaunchTakes) {
  const auto model = *ModelFile::of(fixtures::random_model({8}, kValues, 3));
  const auto network = loaded(model, "bf16-cuda");
  const auto jobs = random_jobs(*model, 16384 + 30);
  const auto room = cuda_room(jobs.size() * (sizeof(EncodedJob) + kOutputCount * sizeof(float)));
  ASSERT_TRUE(room.ok()) << room.error().message;
  auto* const there = static_cast<EncodedJob*>(room->get());
  auto* const outputs = reinterpret_cast<float*>(there + jobs.size());
  std::ranges::copy(jobs, there);
  network->predict({there, jobs.size()}, outputs);
  const std::vector<EncodedJob> last(jobs.end() - 40, jobs.end());
  const auto truth = outputs_of(**load_network(model, "reference"), last);
  const float* const first = outputs + (jobs.size() - last.size()) * kOutputCount;
  EXPECT_LT(error_over_sd({first, first + truth.size()}, truth), .01);
}

TEST_F(CudaWithoutClusters, ABlockAloneComputesTheSame) {
  for (const Hidden& hidden : {Hidden{70, 40}, Hidden{1100, 33}, Hidden{2048, 5}}) {
    const auto model = *ModelFile::of(fixtures::random_model(hidden, kValues, 3));
    const auto jobs = random_jobs(*model, 3);
    const auto truth = outputs_of(**load_network(model, "reference"), jobs);
    EXPECT_LT(error_over_sd(outputs_of(*loaded(model, "fp32-cuda"), jobs), truth), 1e-5)
        << hidden[0];
  }
}

TEST_F(CudaOfLittleMemory, WeightsThatDoNotFitAreReadWhereTheyLie) {
  const auto model = *ModelFile::of(fixtures::random_model({256, 128, 64}, kValues, 3));
  const auto jobs = random_jobs(*model, 18);
  const auto truth = outputs_of(**load_network(model, "reference"), jobs);
  const auto network = loaded(model, "fp32-cuda");
  EXPECT_LT(error_over_sd(outputs_of(*network, jobs), truth), 1e-5);
  EXPECT_LT(
      error_over_sd(outputs_of(*network, {jobs[0]}), {truth.begin(), truth.begin() + kOutputCount}),
      1e-4);
}

TEST_F(CudaOfLittleMemory, LayersTooWideForItAreRefused) {
  const auto model = *ModelFile::of(fixtures::random_model({2048, 1024}, 40, 3));
  EXPECT_EQ(load_network(model, "fp32-cuda").error().message,
            "the GPU cannot take the model: layers too wide for a block's memory");
}

TEST_F(Cuda, WhatOverflowsIsNoNumber) {
  ModelContent content = fixtures::random_model({16, 16}, 10, 3);
  const size_t numbers = content.layers[0].weights.size() - kNumberCount * 16;
  std::fill(content.layers[0].weights.begin() + static_cast<std::ptrdiff_t>(numbers),
            content.layers[0].weights.end(), 3e38F);
  const auto model = *ModelFile::of(content);
  for (const size_t count : {3U, 30U}) {
    auto jobs = random_jobs(*model, count);
    for (EncodedJob& job : jobs) job.numbers.fill(0);
    jobs[1].numbers.fill(7);
    for (const Technique& technique : kAll) {
      if (technique.name == "fp16-cuda") continue;  // which has no such weights
      const std::vector<float> outputs = outputs_of(*loaded(model, technique.name), jobs);
      for (size_t i = 0; i < outputs.size(); ++i) {
        EXPECT_EQ(std::isnan(outputs[i]), i / kOutputCount == 1) << technique.name << ", " << i;
      }
    }
  }
}

TEST_F(Cuda, ThreadsAskAtOnce) {
  const auto model = *ModelFile::of(fixtures::random_model({64, 32}, kValues, 3));
  const auto network = loaded(model, "bf16-cuda");
  const bool real = !emulated::settings();  // which has many threads; the emulation is one
  std::vector<std::jthread> threads;
  std::vector<double> errors(real ? 8 : 1, 1.0);
  for (size_t t = 0; t < errors.size(); ++t) {
    threads.emplace_back([&, t] {
      double worst = 0;
      for (size_t round = 0; round < (real ? 200 : 2); ++round) {
        const auto jobs = random_jobs(*model, 1 + (7 * t + round) % 40, static_cast<uint32_t>(t));
        const auto truth = outputs_of(**load_network(model, "reference"), jobs);
        worst = std::max(worst, error_over_sd(outputs_of(*network, jobs), truth));
      }
      errors[t] = worst;
    });
  }
  threads.clear();
  for (const double error : errors) EXPECT_LT(error, .03);
}

TEST_F(Cuda, AModelsOwnPrecisionIsKept) {
  ModelContent content = fixtures::random_model({64, 32}, kValues, 3);
  content.precisions = {Precision::kBf16, Precision::kInt4, Precision::kBf16};
  const auto network = loaded(*ModelFile::of(content), "cuda");
  EXPECT_EQ(network->backend(), "bf16,int4,bf16-cuda");
}

TEST_F(Cuda, SaysWhatItCannotDo) {
  const auto refusal = [](const ModelContent& content, const std::string& backend) {
    const auto network = load_network(*ModelFile::of(content), backend);
    return network.ok() ? "" : network.error().message;
  };
  const ModelContent content = fixtures::random_model({16, 16}, 10, 3);
  EXPECT_THAT(refusal(content, "int7-cuda"),
              HasSubstr("\"int7-cuda\" is none; these are: fp32-cuda tf32-cuda"));
  EXPECT_THAT(refusal(fixtures::random_pointer_model({9, 5}, 7, 10, 7), "cuda"),
              HasSubstr("pointer network is computed on CPUs"));
  EXPECT_THAT(refusal(fixtures::random_model({4096}, 1, 3), "fp32-cuda"),
              HasSubstr("wider than 2048"));
  ModelContent large = content;
  large.layers[1].weights[5] = -1e5F;
  EXPECT_THAT(refusal(large, "fp16-cuda"), HasSubstr("beyond the range of FP16"));
  EXPECT_EQ(refusal(large, "bf16-cuda"), "");
  ModelContent bent = content;
  bent.layers[0].relu = false;
  EXPECT_THAT(refusal(bent, "int8-cuda"), HasSubstr("integers need ReLU"));
}

// Beside the CPU's, in the model's own precision; what computes a batch answers as it does.
TEST_F(Cuda, IsMeasuredAmongTheRoutes) {
  ModelContent content = fixtures::random_model({64, 32}, kValues, 3);
  content.precisions = precisions_of(Precision::kBf16, 3);
  const auto model = *ModelFile::of(content);
  const auto routes = Routes::measure(model);
  ASSERT_TRUE(routes.ok()) << routes.error().message;
  EXPECT_EQ(routes->measured.back().backend, "bf16-cuda");
  for (const double us : routes->measured.back().batch_us) EXPECT_GT(us, 0);
  const auto jobs = random_jobs(*model, 600);
  const auto truth = outputs_of(**load_network(model, "reference"), jobs);
  EXPECT_LT(error_over_sd(outputs_of(*routes->network, jobs), truth), .01);
  const auto pointer =
      Routes::measure(*ModelFile::of(fixtures::random_pointer_model({9}, 7, 9, 7)));
  ASSERT_TRUE(pointer.ok()) << pointer.error().message;
  for (const Route& route : pointer->measured) EXPECT_FALSE(is_cuda(route.backend));
}

TEST_F(Cuda, TellsItsOwnTime) {
  const auto model = *ModelFile::of(fixtures::random_model({64, 32}, kValues, 3));
  const auto network = loaded(model, "int8-cuda");
  for (const size_t count : {1U, 20U}) {
    const auto times = cuda_times_us(*network, random_jobs(*model, count), 3);
    ASSERT_TRUE(times.ok()) << times.error().message;
    EXPECT_EQ(times->size(), 3);
  }
  EXPECT_FALSE(cuda_times_us(**load_network(model, "reference"), {}, 1).ok());
}

}  // namespace
}  // namespace auspex
