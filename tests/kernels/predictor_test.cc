// SPDX-License-Identifier: Apache-2.0
#include "kernels/predictor.h"

#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "shared/units.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/models.h"

namespace auspex {
namespace {

std::shared_ptr<const RuntimePredictor> load(const ModelContent& content,
                                             std::string_view backend = "auto") {
  const fixtures::TemporaryFolder folder;
  EXPECT_TRUE(write_model_file(folder / "m", content).ok());
  auto predictor = RuntimePredictor::load(folder / "m", backend);
  EXPECT_TRUE(predictor.ok()) << predictor.error().message;
  return *predictor;
}

TEST(Predictor, GivesTheModelsDistribution) {
  const auto predictor = load(fixtures::constant_model(600));
  Submission submission;
  submission.time_limit_min = 60;
  const Prediction p = predictor->predict(history_request_of(submission));
  EXPECT_NEAR(p.quantile_s(.5), 600, .01);
  EXPECT_NEAR(p.accuracy_point_s, 600, .01);
  EXPECT_LT(p.quantile_s(.05), p.quantile_s(.99));
  EXPECT_EQ(p.model, predictor->model().summary().id);
  EXPECT_EQ(p.backend, available_backends(Precision::kFp32).front());
  EXPECT_GT(p.latency_us, 0);
}

TEST(Predictor, NeverPredictsMoreThanTheUsersLimit) {
  const auto predictor = load(fixtures::constant_model(100'000));
  Submission submission;
  submission.time_limit_min = 10;
  EXPECT_DOUBLE_EQ(predictor->predict(history_request_of(submission)).quantile_s(.5), 600);
  submission.time_limit_min = kUnlimitedMin;
  EXPECT_NEAR(predictor->predict(history_request_of(submission)).quantile_s(.5), 100'000, 1);
  submission.time_limit_min.reset();
  EXPECT_NEAR(predictor->predict(history_request_of(submission)).quantile_s(.5), 100'000, 1);
}

TEST(Predictor, ManyThreadsGetTheSameAnswer) {
  const auto predictor = load(fixtures::random_model({64, 32}, 5, 9));
  Submission submission;
  submission.time_limit_min = 100;
  const auto expected = predictor->predict(history_request_of(submission)).quantiles_s;
  std::vector<std::thread> threads;
  std::atomic<int> same{0};
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i)
        same += predictor->predict(history_request_of(submission)).quantiles_s == expected;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(same, 800);
}

TEST(Predictor, NamesWhatIsWrongWithModelOrBackend) {
  const auto model = RuntimePredictor::load("/nonexistent/m");
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().message, "/nonexistent/m: No such file or directory");
  const fixtures::TemporaryFolder folder;
  ModelContent content = fixtures::random_model({16, 16}, 10, 3);
  content.precisions.assign(3, Precision::kInt8);
  content.layers[1].relu = false;
  ASSERT_TRUE(write_model_file(folder / "m", content).ok());
  EXPECT_EQ(RuntimePredictor::load(folder / "m").error().message,
            folder / "m" + ": int8 needs ReLU before it: layer 2 has none");
  EXPECT_NE(RuntimePredictor::load(folder / "m", "tpu").error().message.find("\"tpu\""),
            std::string::npos);
}

}  // namespace
}  // namespace auspex
