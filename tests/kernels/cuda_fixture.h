// SPDX-License-Identifier: Apache-2.0
// Cards, real or emulated, jobs for them, and how far their answers are from the truth.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/cuda_network.h"
#include "tests/fixtures/models.h"
#include "tests/kernels/emulated_settings.h"

namespace auspex {

using Hidden = std::vector<uint32_t>;

inline constexpr uint32_t kValues = 40;

// Random rows, of each field one; some jobs with fewer.
inline std::vector<EncodedJob> random_jobs(const ModelFile& model, size_t count,
                                           uint32_t seed = 11) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<EncodedJob> jobs(count);
  const uint32_t rows = model.layers().front().inputs - model.dense_inputs();
  for (EncodedJob& job : jobs) {
    job.row_count = random() % 8 == 0 ? static_cast<uint32_t>(random() % kCategoryCount)
                                      : static_cast<uint32_t>(kCategoryCount);
    const uint32_t each = rows / kCategoryCount;
    for (uint32_t i = 0; i < job.row_count; ++i) {
      job.rows[i] = i * each + static_cast<uint32_t>(random() % each);
    }
    for (float& number : job.numbers) number = normal(random);
  }
  return jobs;
}

inline std::vector<float> outputs_of(const Network& network, const std::vector<EncodedJob>& jobs) {
  std::vector<float> outputs(jobs.size() * kOutputCount, -77);
  network.predict(jobs, outputs.data());
  return outputs;
}

inline std::shared_ptr<const Network> loaded(const std::shared_ptr<const ModelFile>& model,
                                             const Plan& plan) {
  auto network = load_network(model, plan);
  // The test fails, and others go on.
  if (!network) throw std::runtime_error(network.error().message);
  return *network;
}
inline std::shared_ptr<const Network> loaded(const std::shared_ptr<const ModelFile>& model,
                                             const std::string& backend) {
  return loaded(model, Plan{backend});
}

// Of many jobs some, the last ones among them: the reference takes its time.
inline std::vector<size_t> looked_at(size_t count) {
  std::vector<size_t> places;
  const size_t step = std::max<size_t>(1, count / 100);
  for (size_t i = 0; i < count; ++i) {
    if (i % step == 0 || i + 10 >= count) places.push_back(i);
  }
  return places;
}
inline std::vector<EncodedJob> some_of(const std::vector<EncodedJob>& jobs) {
  std::vector<EncodedJob> some;
  for (const size_t place : looked_at(jobs.size())) some.push_back(jobs[place]);
  return some;
}
// outputs: of `count` jobs.
inline std::vector<float> some_of(const std::vector<float>& outputs, size_t count) {
  std::vector<float> some;
  for (const size_t place : looked_at(count)) {
    const auto first = outputs.begin() + static_cast<std::ptrdiff_t>(place * kOutputCount);
    some.insert(some.end(), first, first + kOutputCount);
  }
  return some;
}

// Root mean square of the error over the outputs' standard deviation.
inline double error_over_sd(const std::vector<float>& outputs, const std::vector<float>& truth) {
  double sum = 0, squares = 0, errors = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    sum += truth[i];
    squares += truth[i] * truth[i];
    errors += std::pow(outputs[i] - truth[i], 2);
  }
  const auto count = static_cast<double>(truth.size());
  return std::sqrt(errors / (squares - sum * sum / count));
}

struct Technique {
  std::string name;
  double tolerance;  // as in precision_test.cc; TF32 and FP16 have eight times BF16's steps
  bool pairs = false;
};
inline const Technique kAll[] = {
    {"fp32-cuda", 1e-5}, {"tf32-cuda", .002}, {"bf16-cuda", .01},          {"fp16-cuda", .002},
    {"int8-cuda", .03},  {"int4-cuda", .3},   {"int8-2:4-cuda", .03, true}};

inline double tolerance_of(const std::string& name) {
  return std::ranges::find(kAll, name, &Technique::name)->tolerance;
}

class Cuda : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(cuda_state().fault, "") << "of a test before this one";
    if (!cuda_backends().empty()) return;
    // Where there is a driver, real or emulated, the module has to work; where ctest has put an
    // emulated one in reach, it is there.
    const std::string absence = cuda_state().absence;
    ASSERT_TRUE(absence.starts_with("no driver: ") && !emulated::promised()) << absence;
    GTEST_SKIP() << absence;
  }
  // The CPU answers where the card fails, and as exactly.
  void TearDown() override { EXPECT_EQ(cuda_state().fault, ""); }
};

// Sizes for which an emulated card is too slow.
class CudaAtSize : public Cuda {
 protected:
  void SetUp() override {
    if (emulated::settings()) GTEST_SKIP() << "the card is an emulated one";
    Cuda::SetUp();
  }
};

// A card says what it has when it is opened. A real one has what it has.
template <auto kChange>
class OtherCard : public Cuda {
 protected:
  void SetUp() override {
    emulated::Settings* const settings = emulated::settings();
    ASSERT_TRUE(settings || !emulated::promised());
    if (!settings) GTEST_SKIP() << "the card is a real one, or none";
    kChange(*settings);
    Cuda::SetUp();
  }
};
}  // namespace auspex
