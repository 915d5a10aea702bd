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
    score_from(0.7);
  }
  void score_from(double share) { options_.from_s = submit_point_s(history_.jobs, share); }
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
  // A network that reads no history is not calibrated: an hour, a tenth more, rounded up.
  EXPECT_NEAR(result->requested_hours_ratio, 70.0 / 240, 1e-9);
  EXPECT_EQ(result->applied[0].requested_ratio, result->raw[0].requested_ratio);

  EXPECT_NEAR(result->limit.accuracy, (0.125 + 0.5 + 1) / 3, 1e-9);
  EXPECT_EQ(result->limit.underestimation, 0);
  // Last two before them: 60 and 60, 60 and 30, 30 and 120 minutes.
  EXPECT_NEAR(result->last2.accuracy, (0.5 + 45.0 / 120 + 75.0 / 240) / 3, 1e-6);  // floats
}

TEST_F(Evaluated, scores_everything_from_the_first_job) {
  score_from(0);
  const Result<Evaluation> result = evaluated();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->last2.jobs, 10U);
}

TEST_F(Evaluated, knows_nothing_of_what_happens_later) {
  options_.until_s = history_.jobs[8].request.submit_s + 7200;  // the last but one ends just then
  const Result<Evaluation> result = evaluated();
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->auspex.jobs, 1U);
}

TEST_F(Evaluated, older_jobs_are_history_only) {
  options_.first_s = options_.from_s = history_.jobs[9].request.submit_s;
  const Result<Evaluation> result = evaluated();
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->auspex.jobs, 1U);
  EXPECT_NEAR(result->last2.accuracy, 75.0 / 240, 1e-6) << "they are known";
}

TEST_F(Evaluated, a_network_that_reads_the_history_is_calibrated) {
  const auto model = ModelFile::of(fixtures::random_pointer_model({9, 5}, 7, 10, 7));
  FrozenForecaster pointer(*RuntimePredictor::with(*model));
  const Result<Evaluation> result = evaluate(history_.jobs, pointer, options_);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->calibration.jobs(), 3U);
  // Three jobs prove nothing: what is applied is what the user asked for.
  EXPECT_EQ(result->recipe[0], "cautious");
  EXPECT_EQ(result->requested_hours_ratio, 1);
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
  score_from(1);
  EXPECT_THAT(evaluated().error().message, HasSubstr("no job to score: 10 usable jobs"));
}

}  // namespace
}  // namespace auspex
