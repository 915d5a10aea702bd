// SPDX-License-Identifier: Apache-2.0
#include "kernels/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/predictor.h"
#include "tests/fixtures/models.h"

namespace auspex {
namespace {

using testing::Contains;
using testing::EndsWith;
using testing::Field;

ModelContent in(Precision precision, ModelContent content) {
  content.precisions = precisions_of(precision, content.layers.size());
  return content;
}

std::vector<std::string> backends_of(const Routes& routes) {
  std::vector<std::string> names;
  for (const Route& route : routes.measured) names.push_back(route.backend);
  return names;
}

TEST(Routes, EveryInstructionSetIsMeasuredInTheModelsPrecisionAndInFp32) {
  const auto model = *ModelFile::of(in(Precision::kInt8, fixtures::random_model({64, 32}, 10, 3)));
  const auto routes = Routes::measure(model);
  ASSERT_TRUE(routes.ok()) << routes.error().message;
  for (const std::string& backend : available_backends(Precision::kInt8)) {
    EXPECT_THAT(backends_of(*routes), Contains(backend).Times(2));  // rows skipped, and all
  }
  for (const std::string& backend : available_backends(Precision::kFp32)) {
    EXPECT_THAT(backends_of(*routes), Contains(backend).Times(backend == "reference" ? 0 : 1));
  }
  for (const Route& route : routes->measured) {
    for (const double us : route.batch_us) EXPECT_GT(us, 0) << route.backend;
  }
}

TEST(Routes, NothingCoarserThanTheModelSays) {
  const auto model = *ModelFile::of(fixtures::random_model({64, 32}, 10, 3));
  const Routes routes = Routes::measure(model).value();
  for (const std::string& backend : backends_of(routes)) {
    EXPECT_TRUE(backend.starts_with("fp32-")) << backend;
  }
}

TEST(Routes, AnotherThanTheUsualOneIsTakenIfItIsTwiceAsFast) {
  const std::vector<Route> measured = {{"usual", true, {20, 80, 640, 5000}},
                                       {"second", true, {10.1, 39, 100, 2400}},
                                       {"third", true, {12, 30, 49, 2300}}};
  EXPECT_EQ(Routes::fastest_of(measured), (std::array<size_t, 4>{0, 1, 2, 1}));
}

TEST(Routes, MicrosecondsAreNotWorthAnother) {
  EXPECT_EQ(Routes::fastest_of(
                {{"usual", true, {9, 80, 640, 5000}}, {"other", true, {4.1, 30, 200, 2000}}}),
            (std::array<size_t, 4>{0, 1, 1, 1}));
}

TEST(Routes, TheNetworkIsThatOfTheFastest) {
  const auto model = *ModelFile::of(in(Precision::kInt4, fixtures::random_model({64, 32}, 10, 3)));
  const Routes routes = Routes::measure(model).value();
  EXPECT_EQ(routes.measured.front().backend, load_network(model).value()->backend());
  EXPECT_EQ(routes.fastest, Routes::fastest_of(routes.measured));
  EXPECT_EQ(routes.network->backend(), routes.measured[routes.fastest[0]].backend);
}

TEST(Routes, PredictWhatTheModelPredicts) {
  const ModelContent content = fixtures::random_model({64, 32}, 10, 3);
  const auto model = *ModelFile::of(content);
  const Routes routes = Routes::measure(model).value();
  const auto reference = load_network(model, "reference").value();
  for (const size_t count : {1U, 3U, 30U, 600U}) {
    const std::vector<EncodedJob> jobs(count);
    std::vector<float> outputs(count * kOutputCount), truth(outputs);
    routes.network->predict(jobs, outputs.data());
    reference->predict(jobs, truth.data());
    for (size_t i = 0; i < truth.size(); ++i) ASSERT_NEAR(outputs[i], truth[i], 1e-4);
  }
}

TEST(Routes, APredictorGoesByThem) {
  const auto model = *ModelFile::of(fixtures::random_pointer_model({64, 32}, 16, 10, 7));
  const auto predictor = RuntimePredictor::with(model).value();
  EXPECT_EQ(predictor->routes(), nullptr);
  const auto routed = predictor->by_fastest_routes().value();
  ASSERT_NE(routed->routes(), nullptr);
  EXPECT_EQ(routed->backend(), routed->routes()->network->backend());
  const HistoryRequest request;
  EXPECT_NEAR(routed->predict(request).quantiles_s[0], predictor->predict(request).quantiles_s[0],
              1e-3 * predictor->predict(request).quantiles_s[0]);
}

TEST(Routes, WhatAModelCannotDoIsSaid) {
  ModelContent content = in(Precision::kInt8, fixtures::random_model({16, 16}, 10, 3));
  content.layers[0].relu = false;
  EXPECT_EQ(Routes::measure(*ModelFile::of(content)).error().message,
            "int8 needs ReLU before it: layer 1 has none");
}

Routes with_times(std::array<double, kRoutedBatches.size()> batch_us) {
  return {{{"x", true, batch_us}}, {}, nullptr};
}

// Answered in turn, of eight the first waits for one answer, the last for eight: 4.5 on average.
TEST(Routes, ABatchPaysIfItAnswersSoonerThanInTurn) {
  EXPECT_EQ(with_times({10, 44, 330, 2600}).batch_that_pays(), 8U);
  EXPECT_EQ(with_times({10, 46, 320, 2600}).batch_that_pays(), 64U);
  EXPECT_EQ(with_times({10, 46, 330, 2600}).batch_that_pays(), 0U);
}

}  // namespace
}  // namespace auspex
