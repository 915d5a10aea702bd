// SPDX-License-Identifier: Apache-2.0
#include "learn/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "learn/report.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/models.h"

namespace auspex {
namespace {

using testing::HasSubstr;

// Ten jobs of one user, an hour each, a day apart; the last three take 30, 120 and 240 minutes.
// All asked for 240 minutes.
std::string ten_jobs() {
  std::string text;
  for (int index = 0; index < 10; ++index) {
    const int runtime_s = index == 7 ? 1800 : index == 8 ? 7200 : index == 9 ? 14400 : 3600;
    text += std::to_string(index) + " " + std::to_string(86400 * index) + " 0 " +
            std::to_string(runtime_s) + " 1 -1 -1 1 14400 -1 1 1 1 -1 1 1 -1 -1\n";
  }
  return text;
}

class Evaluated : public testing::Test {
 protected:
  void SetUp() override {
    fixtures::write_file(folder_ / "jobs", ten_jobs());
    // Every quantile is one hour.
    const auto model = ModelFile::of(fixtures::constant_model(3600, 1));
    ASSERT_TRUE(model.ok()) << model.error().message;
    forecaster_ = std::make_unique<FrozenForecaster>(*RuntimePredictor::with(*model));
    history_ = *read_history({{folder_ / "jobs"}, JobFormat::kSwf, {}});
  }
  Result<Evaluation> evaluated() { return evaluate(history_.jobs, *forecaster_, options_); }

  fixtures::TemporaryFolder folder_;
  std::unique_ptr<FrozenForecaster> forecaster_;
  History history_;
  EvaluateOptions options_;
};

TEST_F(Evaluated, scores_the_last_jobs_by_hand) {
  const Result<Evaluation> result = evaluated();
  ASSERT_TRUE(result.ok()) << result.error().message;
  const Scores& auspex = result->auspex;
  EXPECT_EQ(auspex.jobs, 3U);
  EXPECT_NEAR(auspex.mae_h, (0.5 + 1 + 3) / 3, 1e-4);
  EXPECT_NEAR(auspex.medae_h, 1, 1e-4);
  EXPECT_NEAR(auspex.rmse_h, std::sqrt((0.25 + 1 + 9) / 3), 1e-4);
  EXPECT_NEAR(auspex.accuracy, (0.5 + 0.5 + 0.25) / 3, 1e-4);
  EXPECT_NEAR(auspex.underestimation, 2.0 / 3, 1e-9);
  EXPECT_NEAR(result->raw[0].jobs, 1.0 / 3, 1e-9);
  EXPECT_NEAR(result->raw[2].jobs, 1.0 / 3, 1e-9);
  EXPECT_NEAR(result->raw[0].requested_ratio, 60.0 / 240, 1e-6);
  // Three jobs prove no calibration: what is applied is what the user asked for.
  EXPECT_EQ(result->requested_hours_ratio, 1);

  EXPECT_NEAR(result->limit.accuracy, (0.125 + 0.5 + 1) / 3, 1e-9);
  EXPECT_EQ(result->limit.underestimation, 0);
  // Last two before them: 60 and 60, 60 and 30, 30 and 120 minutes.
  EXPECT_NEAR(result->last2.accuracy, (0.5 + 45.0 / 120 + 75.0 / 240) / 3, 1e-6);  // floats
}

TEST_F(Evaluated, scores_everything_from_fraction_zero) {
  options_.from_fraction = 0;
  const Result<Evaluation> result = evaluated();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->last2.jobs, 10U);
}

TEST_F(Evaluated, gives_the_agreed_keys) {
  const Result<Evaluation> result = evaluated();
  ASSERT_TRUE(result.ok());
  const nlohmann::json json = to_json(*result, {}, history_.report);
  for (const char* predictor : {"auspex", "limit", "last2", "last_signature"}) {
    for (const char* key : {"jobs", "rmse_h", "mae_h", "medae_h", "accuracy", "underestimation"}) {
      EXPECT_TRUE(json.at(predictor).contains(key)) << predictor << " " << key;
    }
  }
  for (const char* level : {"p90", "p95", "p99"}) {
    EXPECT_TRUE(json.at("auspex").at("coverage").contains(level));
  }
  EXPECT_TRUE(json.at("auspex").contains("requested_hours_ratio"));
  std::ostringstream table;
  print_table(*result, {}, table);
  EXPECT_THAT(table.str(), HasSubstr("last2"));
}

TEST_F(Evaluated, says_what_it_cannot_use) {
  options_.from_fraction = 1;
  EXPECT_THAT(evaluated().error().message, HasSubstr("no job to score: 10 usable jobs"));
}

}  // namespace
}  // namespace auspex
