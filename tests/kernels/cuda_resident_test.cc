// SPDX-License-Identifier: Apache-2.0
// The kernel that stays on the card: it answers as a launch does, comes when it is asked, and
// leaves when it has to.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "kernels/routes.h"
#include "tests/kernels/cuda_fixture.h"

namespace auspex {
namespace {

using testing::Each;
using testing::HasSubstr;
using testing::Not;

using CudaResident = Cuda;
using CudaResidentAtSize = CudaAtSize;
using CudaResidentOfOneBlock = OtherCard<[](emulated::Settings& card) { card.peers = 1; }>;
using CudaResidentOfLittleMemory =
    OtherCard<[](emulated::Settings& card) { card.shared_bytes = 24 << 10; }>;
using CudaResidentInAHurry = OtherCard<[](emulated::Settings& card) { card.idle_ms = 1; }>;

std::shared_ptr<const ModelFile> small_model(uint32_t seed = 3) {
  return *ModelFile::of(fixtures::random_model({64, 32}, kValues, seed));
}

// One job after the other.
std::vector<float> singly(const Network& network, const std::vector<EncodedJob>& jobs) {
  std::vector<float> outputs;
  for (const EncodedJob& job : jobs) {
    const std::vector<float> one = outputs_of(network, {job});
    outputs.insert(outputs.end(), one.begin(), one.end());
  }
  return outputs;
}

// What stays of one request must not show in the next: as many jobs as there is time for, with many
// rows and few.
void expect_answers_of_launches(const std::vector<Hidden>& shapes, size_t count) {
  for (const Hidden& hidden : shapes) {
    const ModelContent content = fixtures::random_model(hidden, kValues, 3);
    for (const Technique& technique : kAll) {
      const auto model = *ModelFile::of(technique.pairs ? fixtures::paired(content) : content);
      const auto jobs = random_jobs(*model, count);
      const auto resident = loaded(model, technique.name + "-persistent");
      EXPECT_EQ(resident->backend(), technique.name + "-persistent");
      const std::vector<float> outputs = singly(*resident, jobs);
      EXPECT_EQ(outputs, singly(*loaded(model, technique.name), jobs)) << technique.name;
      EXPECT_LT(error_over_sd(outputs, outputs_of(**load_network(model, "reference"), jobs)),
                technique.tolerance)
          << technique.name << ", hidden " << hidden[0];
    }
  }
}

TEST_F(CudaResident, AnswersAsLaunchesDo) {
  expect_answers_of_launches({{64, 32}, {130, 17}, {40}}, 4);
}
TEST_F(CudaResidentAtSize, AnswersAsLaunchesDo) {
  expect_answers_of_launches({{512, 256, 128}, {1024, 512, 256}, {2048, 1024}, {1}}, 200);
}
TEST_F(CudaResidentOfOneBlock, AnswersAsLaunchesDo) {
  expect_answers_of_launches({{70, 40}}, 3);
}
TEST_F(CudaResidentOfLittleMemory, ReadsWeightsWhereTheyLie) {
  expect_answers_of_launches({{256, 128}}, 2);
}

TEST_F(CudaResident, IsAskedAgainAndAgainWithoutALaunch) {
  const auto model = small_model();
  const auto jobs = random_jobs(*model, 60);
  const auto network = loaded(model, "int8-cuda-persistent");
  const auto truth = singly(*loaded(model, "int8-cuda"), jobs);
  emulated::Settings* const settings = emulated::settings();
  const int64_t before = settings ? settings->resident_launches.load() : 0;
  EXPECT_EQ(singly(*network, jobs), truth);
  if (!settings) return;
  EXPECT_EQ(settings->resident_launches - before, 1);
}

// Of several jobs at once each is a cluster's or a tile's, as ever.
TEST_F(CudaResident, SeveralAtOnceAreLaunches) {
  const auto model = small_model();
  const auto jobs = random_jobs(*model, 20);
  const auto network = loaded(model, "fp32-cuda-persistent");
  const auto truth = outputs_of(**load_network(model, "reference"), jobs);
  for (int round = 0; round < 2; ++round) {
    EXPECT_LT(error_over_sd(singly(*network, {jobs.begin(), jobs.begin() + 2}),
                            {truth.begin(), truth.begin() + 2 * kOutputCount}),
              1e-4);
    EXPECT_LT(error_over_sd(outputs_of(*network, jobs), truth), 1e-5);
  }
}

TEST_F(CudaResident, WhatOverflowedIsForgotten) {
  ModelContent content = fixtures::random_model({16, 16}, 10, 3);
  const size_t numbers = content.layers[0].weights.size() - kNumberCount * 16;
  std::fill(content.layers[0].weights.begin() + static_cast<std::ptrdiff_t>(numbers),
            content.layers[0].weights.end(), 3e38F);
  const auto model = *ModelFile::of(content);
  auto jobs = random_jobs(*model, 3);
  for (EncodedJob& job : jobs) job.numbers.fill(0);
  jobs[1].numbers.fill(7);
  const auto network = loaded(model, "bf16-cuda-persistent");
  const std::vector<float> outputs = singly(*network, jobs);
  for (size_t i = 0; i < outputs.size(); ++i) {
    EXPECT_EQ(std::isnan(outputs[i]), i / kOutputCount == 1) << i;
  }
}

TEST_F(CudaResident, LeavesWithItsNetwork) {
  emulated::Settings* const settings = emulated::settings();
  if (!settings) GTEST_SKIP() << "a real card does not say who stays on it";
  const auto model = small_model();
  const int64_t taken = settings->taken;
  auto network = loaded(model, "int8-cuda-persistent");
  EXPECT_EQ(settings->residents, 0) << "nothing was asked";
  network.reset();
  EXPECT_EQ(settings->taken, taken);
  network = loaded(model, "int8-cuda-persistent");
  singly(*network, random_jobs(*model, 1));
  EXPECT_EQ(settings->residents, 1);
  network.reset();
  EXPECT_EQ(settings->residents, 0);
  EXPECT_EQ(settings->taken, taken);
}

// One at a time; who is asked again comes back. Memory is taken when none stays.
TEST_F(CudaResident, LeavesForAnother) {
  const auto one = small_model(3), other = small_model(4);
  const auto jobs = random_jobs(*one, 3);
  const auto first = loaded(one, "bf16-cuda-persistent");
  const auto first_truth = singly(*loaded(one, "bf16-cuda"), jobs);
  const auto other_truth = singly(*loaded(other, "bf16-cuda"), jobs);
  EXPECT_EQ(singly(*first, jobs), first_truth);
  const auto second = loaded(other, "bf16-cuda-persistent");
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(singly(*second, jobs), other_truth);
    EXPECT_EQ(singly(*first, jobs), first_truth);
  }
  emulated::Settings* const settings = emulated::settings();
  const auto there = [&] { return settings ? settings->residents.load() : -1; };
  EXPECT_EQ(there(), settings ? 1 : -1);
  EXPECT_TRUE(cuda_times_us(*first, jobs, 1).ok());
  EXPECT_EQ(there(), settings ? 0 : -1);
  EXPECT_EQ(singly(*first, jobs), first_truth);
}

TEST_F(CudaResidentInAHurry, LeavesWhenIdleAndComesWhenAsked) {
  emulated::Settings* const settings = emulated::settings();
  const auto model = small_model();
  const auto jobs = random_jobs(*model, 3);
  const auto truth = singly(*loaded(model, "int8-cuda"), jobs);
  const auto network = loaded(model, "int8-cuda-persistent");
  for (size_t i = 0; i < jobs.size(); ++i) {
    const auto first = truth.begin() + static_cast<std::ptrdiff_t>(i * kOutputCount);
    EXPECT_EQ(outputs_of(*network, {jobs[i]}), std::vector<float>(first, first + kOutputCount));
    while (settings->residents > 0) std::this_thread::yield();
  }
  EXPECT_EQ(settings->resident_launches, 3);
}

// Whoever finds the kernel that stays taken has a launch of its own.
TEST_F(CudaResident, ThreadsAskAtOnce) {
  const auto model = small_model();
  const auto jobs = random_jobs(*model, 8);
  const auto truth = singly(*loaded(model, "int8-cuda"), jobs);
  const auto network = loaded(model, "int8-cuda-persistent");
  const size_t rounds = emulated::settings() ? 2 : 500;
  std::vector<std::vector<float>> outputs(emulated::settings() ? 2 : 8);
  {
    std::vector<std::jthread> threads;
    for (auto& own : outputs) {
      threads.emplace_back([&] {
        for (size_t round = 0; round < rounds; ++round) {
          own = singly(*network, jobs);
          if (own != truth) return;
        }
      });
    }
  }
  EXPECT_THAT(outputs, Each(truth));
}

TEST_F(CudaResident, SaysWhatItCannotDo) {
  const auto model = small_model();
  EXPECT_THAT(load_network(model, "int7-cuda-persistent").error().message,
              HasSubstr("\"int7-cuda\" is none; these are: fp32-cuda"));
  EXPECT_THAT(
      load_network(model, Plan{"int8-cuda-persistent", true, true}).error().message,
      HasSubstr("backend int8-cuda-persistent: a dense input is no kernel that stays on the card"));
  EXPECT_EQ(loaded(model, "cuda-persistent")->backend(), "fp32-cuda-persistent");
}

// It holds multiprocessors: nobody chooses it but by its name.
TEST_F(CudaResident, IsNoRoute) {
  const auto routes = Routes::measure(small_model());
  ASSERT_TRUE(routes.ok()) << routes.error().message;
  for (const Route& route : routes->measured) {
    EXPECT_THAT(route.backend, Not(HasSubstr("persistent")));
  }
  EXPECT_THAT(cuda_backends(), Each(Not(HasSubstr("persistent"))));
}

}  // namespace
}  // namespace auspex
