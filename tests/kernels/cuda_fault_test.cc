// SPDX-License-Identifier: Apache-2.0
// A card that fails loses no request: the CPU answers, and the cause is told once. A test is a
// process of its own: what has failed stays so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/cuda_network.h"
#include "tests/fixtures/models.h"
#include "tests/kernels/emulated_settings.h"

namespace auspex {
namespace {

using testing::HasSubstr;

std::shared_ptr<const ModelFile> small_model() {
  return *ModelFile::of(fixtures::random_model({64, 32}, 40, 3));
}

std::vector<float> outputs_of(const Network& network, size_t count) {
  std::vector<EncodedJob> jobs(count);
  for (size_t i = 0; i < count; ++i) jobs[i].numbers[0] = static_cast<float>(i);
  std::vector<float> outputs(count * kOutputCount, -77);
  network.predict(jobs, outputs.data());
  return outputs;
}

// Needs the emulated card: a real one fails when it wants to.
class CudaFault : public testing::Test {
 protected:
  void SetUp() override {
    settings_ = emulated::settings();
    ASSERT_TRUE(settings_ || !emulated::promised());
    if (!settings_) GTEST_SKIP() << "the card is a real one, or none";
  }
  void expect_cpu_answers(const Network& network, const std::string& why) {
    const auto cpu = *load_network(model_);
    for (const size_t count : {1U, 20U}) {
      EXPECT_EQ(outputs_of(network, count), outputs_of(*cpu, count));
      EXPECT_THAT(cuda_state().fault, HasSubstr(why));
    }
    EXPECT_EQ(network.backend(), cpu->backend());
    EXPECT_TRUE(cuda_backends().empty());
    EXPECT_THAT(load_network(model_, "bf16-cuda").error().message, HasSubstr("has failed: "));
  }
  emulated::Settings* settings_ = nullptr;
  std::shared_ptr<const ModelFile> model_ = small_model();
};

TEST_F(CudaFault, ALaunchThatFails) {
  const auto network = *load_network(model_, "fp32-cuda");
  outputs_of(*network, 1);
  EXPECT_EQ(cuda_state().fault, "");
  EXPECT_EQ(network->backend(), "fp32-cuda");
  settings_->launches = 1;
  expect_cpu_answers(*network, "unspecified launch failure");
}

TEST_F(CudaFault, ALaunchOfManyThatFails) {
  const auto network = *load_network(model_, "fp32-cuda");
  settings_->launches = 2;
  outputs_of(*network, 20);
  EXPECT_EQ(cuda_state().fault, "");
  outputs_of(*network, 20);
  expect_cpu_answers(*network, "unspecified launch failure");
}

TEST_F(CudaFault, ACardThatDoesNotAnswer) {
  settings_->patience_ms = 100;
  auto network = *load_network(model_, "fp32-cuda");
  settings_->hangs = true;
  expect_cpu_answers(*network, "does not answer");
  // Nothing is asked of it any more, not even its memory.
  const int64_t taken = settings_->taken;
  network.reset();
  EXPECT_EQ(settings_->taken, taken);
}

TEST_F(CudaFault, AKernelThatStaysAndDoesNotAnswer) {
  settings_->patience_ms = 3000;
  auto network = *load_network(model_, "int8-cuda-persistent");
  outputs_of(*network, 1);
  EXPECT_EQ(settings_->residents, 1);
  EXPECT_EQ(cuda_state().fault, "");
  settings_->hangs = true;
  expect_cpu_answers(*network, "does not answer");
  const int64_t taken = settings_->taken;
  network.reset();
  EXPECT_EQ(settings_->taken, taken);
}

TEST_F(CudaFault, AKernelThatStaysAndDoesNotLeave) {
  settings_->patience_ms = 3000;
  const auto network = *load_network(model_, "int8-cuda-persistent");
  outputs_of(*network, 1);
  settings_->hangs = true;
  EXPECT_THAT(load_network(model_, "int8-cuda").error().message, HasSubstr("does not answer"));
  expect_cpu_answers(*network, "does not answer");
}

TEST_F(CudaFault, AKernelThatDoesNotCome) {
  const auto network = *load_network(model_, "int8-cuda-persistent");
  settings_->launches = 1;
  expect_cpu_answers(*network, "unspecified launch failure");
}

// At each of the allocations of a load. Returns the first number of them that is enough.
int64_t expect_memory_is_exhausted(emulated::Settings& settings,
                                   const std::shared_ptr<const ModelFile>& model,
                                   const Plan& plan) {
  for (int64_t allocations = 1;; ++allocations) {
    settings.allocations = allocations;
    const int64_t before = settings.taken;
    const auto network = load_network(model, plan);
    if (network.ok()) return allocations;
    EXPECT_THAT(network.error().message, HasSubstr("cannot take the model: out of memory"));
    EXPECT_EQ(settings.taken, before);
    EXPECT_EQ(cuda_state().fault, "");  // another model may fit
  }
}

// And at that of the first request.
class CudaFaultOfMemory : public CudaFault, public testing::WithParamInterface<bool> {};

TEST_P(CudaFaultOfMemory, IsTold) {
  const Plan plan = {"int8-cuda", true, GetParam()};
  const int64_t enough = expect_memory_is_exhausted(*settings_, model_, plan);
  EXPECT_GT(enough, 10);
  settings_->allocations = enough;
  const auto network = *load_network(model_, plan);
  expect_cpu_answers(*network, "out of memory");
}
INSTANTIATE_TEST_SUITE_P(Cuda, CudaFaultOfMemory, testing::Bool());

TEST_F(CudaFault, MemoryForAKernelThatStays) {
  const Plan launched{"int8-cuda"}, stays{"int8-cuda-persistent"};
  EXPECT_EQ(expect_memory_is_exhausted(*settings_, model_, stays),
            expect_memory_is_exhausted(*settings_, model_, launched) + 1);
}

TEST_F(CudaFault, WhatWasTakenIsGivenBack) {
  for (const bool dense : {false, true}) {
    auto network = *load_network(model_, Plan{"int8-2:4-cuda", true, dense});
    const int64_t loaded = settings_->taken;
    outputs_of(*network, 20);
    EXPECT_GT(settings_->taken, loaded);
    network.reset();
    EXPECT_EQ(settings_->taken, 0);
  }
}

TEST(CudaOtherVersion, IsRefused) {
  EXPECT_TRUE(cuda_backends().empty());
  EXPECT_EQ(load_network(small_model(), "cuda").error().message,
            "no GPU: libauspex_cuda.so is of version 99, this program needs version 5");
}

// The module as it is built, where what is taken for a driver is none.
TEST(CudaRealModule, RefusesADriverThatIsNone) {
  EXPECT_TRUE(cuda_backends().empty());
  EXPECT_THAT(load_network(small_model(), "cuda").error().message, testing::StartsWith("no GPU: "));
  EXPECT_NE(::dlopen(cuda::kModuleFile, RTLD_NOW | RTLD_NOLOAD), nullptr);
  EXPECT_EQ(emulated::settings(), nullptr);
  EXPECT_EQ(cuda_state().fault, "");
}

TEST(CudaNoDriver, IsSaid) {
  EXPECT_TRUE(cuda_backends().empty());
  EXPECT_THAT(load_network(small_model(), "fp32-cuda").error().message,
              HasSubstr("no GPU: no driver: libcuda.so.1: cannot open"));
  // Nothing of it was loaded.
  EXPECT_EQ(::dlopen(cuda::kModuleFile, RTLD_NOW | RTLD_NOLOAD), nullptr);
}

}  // namespace
}  // namespace auspex
