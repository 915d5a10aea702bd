// SPDX-License-Identifier: Apache-2.0
#include "learn/boosted_trees.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace auspex {
namespace {

using testing::HasSubstr;

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

// log(runtime) = 5 + 2 [a > 0] + a b, both in (-1, 1), plus a little noise; a third column is
// noise.
struct Rows {
  explicit Rows(size_t count, unsigned seed = 7) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-1, 1);
    for (size_t row = 0; row < count; ++row) {
      const float a = uniform(random), b = uniform(random);
      values.insert(values.end(), {a, b, uniform(random)});
      target.push_back(5 + (a > 0 ? 2.0F : 0.0F) + a * b + 0.05F * uniform(random));
    }
  }
  Matrix matrix() const { return {values, target.size(), 3}; }

  std::vector<float> values, target;
};

BoostedOptions quick() {
  BoostedOptions options;
  options.rounds = 60;
  options.depth = 4;
  options.threads = 1;
  options.column_share = 1;
  return options;
}

double mean_error(const std::vector<float>& predicted, const std::vector<float>& target) {
  EXPECT_EQ(predicted.size(), target.size());
  double sum = 0;
  for (size_t row = 0; row < target.size(); ++row) sum += std::abs(predicted[row] - target[row]);
  return sum / static_cast<double>(target.size());
}

class BoostedTreesBy : public testing::TestWithParam<BoostedObjective> {};

TEST_P(BoostedTreesBy, follows_a_function_ten_times_closer_than_its_mean) {
  const Rows train(2000), later(500, 8);
  BoostedOptions options = quick();
  options.objective = GetParam();
  Result<BoostedTrees> trees = BoostedTrees::fit(train.matrix(), train.target, options);
  ASSERT_TRUE(trees) << trees.error().message;
  Result<std::vector<float>> predicted = trees->predict(later.matrix());
  ASSERT_TRUE(predicted) << predicted.error().message;
  const std::vector<float> mean(500, 6);
  EXPECT_LT(10 * mean_error(*predicted, later.target), mean_error(mean, later.target));
}

TEST_P(BoostedTreesBy, takes_missing_values_as_a_value_of_their_own) {
  Rows train(2000);
  for (size_t row = 0; row < train.target.size(); row += 2) {
    train.values[3 * row] = kMissing;
    train.target[row] = 1;
  }
  BoostedOptions options = quick();
  options.objective = GetParam();
  Result<BoostedTrees> trees = BoostedTrees::fit(train.matrix(), train.target, options);
  ASSERT_TRUE(trees) << trees.error().message;
  const std::vector<float> row = {kMissing, 0.5F, 0};
  EXPECT_NEAR(trees->predict({row, 1, 3})->front(), 1, 0.1);
  const std::vector<float> known = {-0.5F, 0, 0};
  EXPECT_NEAR(trees->predict({known, 1, 3})->front(), 5, 0.3);
}

INSTANTIATE_TEST_SUITE_P(Objectives, BoostedTreesBy,
                         testing::Values(BoostedObjective::kSquaredError,
                                         BoostedObjective::kAbsoluteError));

TEST(BoostedTrees, absolute_error_is_not_drawn_by_outliers) {
  Rows train(2000);
  for (size_t row = 0; row < train.target.size(); row += 5) train.target[row] = 30;
  const std::vector<float> row = {-0.5F, 0, 0};
  BoostedOptions options = quick();
  options.objective = BoostedObjective::kAbsoluteError;
  Result<BoostedTrees> median = BoostedTrees::fit(train.matrix(), train.target, options);
  options.objective = BoostedObjective::kSquaredError;
  Result<BoostedTrees> mean = BoostedTrees::fit(train.matrix(), train.target, options);
  ASSERT_TRUE(median && mean);
  EXPECT_NEAR(median->predict({row, 1, 3})->front(), 5, 0.5);
  EXPECT_GT(mean->predict({row, 1, 3})->front(), 7);
}

TEST(BoostedTrees, are_the_same_for_the_same_seed_and_others_for_another) {
  const Rows train(1000);
  const auto predicted = [&](int seed) {
    BoostedOptions options = quick();
    options.seed = seed;
    return *BoostedTrees::fit(train.matrix(), train.target, options)->predict(train.matrix());
  };
  EXPECT_EQ(predicted(1), predicted(1));
  EXPECT_NE(predicted(1), predicted(2));
}

TEST(BoostedTrees, tuned_takes_the_setting_of_least_error_in_hours) {
  const Rows train(1000), later(300, 8);
  BoostedOptions options = quick();
  options.rounds = 200;
  options.patience = 5;
  Result<BoostedTrees> trees =
      BoostedTrees::tuned(train.matrix(), train.target, later.matrix(), later.target, options);
  ASSERT_TRUE(trees) << trees.error().message;
  ASSERT_EQ(trees->trials().size(), 4);
  const BoostedTrial& best = *std::ranges::min_element(trees->trials(), {}, &BoostedTrial::mae_h);
  EXPECT_EQ(trees->options().objective, best.options.objective);
  EXPECT_EQ(trees->options().depth, best.options.depth);
  EXPECT_EQ(trees->options().rounds, best.options.rounds);
  // A fit with as many rounds predicts the validation rows as well as the trial said.
  for (const BoostedTrial& trial : trees->trials()) {
    Result<BoostedTrees> again = BoostedTrees::fit(train.matrix(), train.target, trial.options);
    ASSERT_TRUE(again) << again.error().message;
    const std::vector<float> predicted = *again->predict(later.matrix());
    double error_h = 0, accuracy = 0;
    for (size_t row = 0; row < predicted.size(); ++row) {
      const double off = std::abs(predicted[row] - later.target[row]);
      error_h += std::abs(std::exp(predicted[row]) - std::exp(later.target[row])) / 3600 / 300;
      accuracy += std::exp(-off) / 300;
    }
    EXPECT_NEAR(error_h, trial.mae_h, 1e-5);
    EXPECT_NEAR(accuracy, trial.accuracy, 1e-5);
  }
}

TEST(BoostedTrees, tuned_learns_from_the_validation_rows_too) {
  Rows train(500);
  Rows later(500, 8);
  for (size_t row = 0; row < 500; ++row) {
    train.values[3 * row] = 0.5F;  // knows nothing of a < 0
    train.target[row] = 7;
  }
  BoostedOptions options = quick();
  options.patience = 5;
  Result<BoostedTrees> trees =
      BoostedTrees::tuned(train.matrix(), train.target, later.matrix(), later.target, options);
  ASSERT_TRUE(trees) << trees.error().message;
  BoostedOptions same = trees->options();
  Result<BoostedTrees> on_train = BoostedTrees::fit(train.matrix(), train.target, same);
  ASSERT_TRUE(on_train) << on_train.error().message;
  EXPECT_LT(mean_error(*trees->predict(later.matrix()), later.target),
            mean_error(*on_train->predict(later.matrix()), later.target));
}

TEST(BoostedTrees, tuned_stops_when_more_rounds_do_not_help) {
  Rows train(300);
  const Rows later(300, 8);
  std::mt19937 random(3);
  for (float& y : train.target) y = std::uniform_real_distribution<float>(2, 8)(random);
  BoostedOptions options = quick();
  options.rounds = 300;
  options.patience = 5;
  Result<BoostedTrees> trees =
      BoostedTrees::tuned(train.matrix(), train.target, later.matrix(), later.target, options);
  ASSERT_TRUE(trees) << trees.error().message;
  EXPECT_LT(trees->options().rounds, 300);
}

TEST(BoostedTrees, predict_nothing_for_no_rows) {
  const Rows train(100);
  Result<BoostedTrees> trees = BoostedTrees::fit(train.matrix(), train.target, quick());
  ASSERT_TRUE(trees) << trees.error().message;
  EXPECT_TRUE(trees->predict({{}, 0, 3})->empty());
}

TEST(BoostedTrees, name_what_does_not_fit) {
  const Rows rows(100);
  const auto message = [&](const Matrix& matrix, std::span<const float> target,
                           const BoostedOptions& options) {
    Result<BoostedTrees> trees = BoostedTrees::fit(matrix, target, options);
    return trees ? "no error" : trees.error().message;
  };
  EXPECT_EQ(message({{}, 0, 3}, {}, quick()), "training rows: no values: 0 x 3");
  EXPECT_EQ(message({rows.values, 100, 4}, rows.target, quick()),
            "training rows: 300 values are not 100 x 4");
  EXPECT_EQ(message(rows.matrix(), std::span(rows.target).first(99), quick()),
            "training rows: 99 targets for 100 rows");
  std::vector<float> target = rows.target;
  target[17] = kMissing;
  EXPECT_EQ(message(rows.matrix(), target, quick()), "training rows: target 17: nan is not finite");
  Rows infinite(100);
  infinite.values[5] = std::numeric_limits<float>::infinity();
  EXPECT_THAT(message(infinite.matrix(), infinite.target, quick()), HasSubstr("inf"));
  BoostedOptions wrong = quick();
  wrong.row_share = 2;
  EXPECT_THAT(message(rows.matrix(), rows.target, wrong), HasSubstr("subsample"));
}

TEST(BoostedTrees, refuse_rows_with_other_columns) {
  const Rows rows(100);
  Result<BoostedTrees> trees = BoostedTrees::fit(rows.matrix(), rows.target, quick());
  ASSERT_TRUE(trees) << trees.error().message;
  for (const size_t columns : {2, 4}) {
    const std::vector<float> row(columns);
    Result<std::vector<float>> predicted = trees->predict({row, 1, columns});
    ASSERT_FALSE(predicted);
    EXPECT_EQ(predicted.error().message,
              "rows of " + std::to_string(columns) + " columns, the trees were fitted on 3");
  }
  Result<BoostedTrees> tuned =
      BoostedTrees::tuned(rows.matrix(), rows.target, {std::span(rows.values).first(200), 100, 2},
                          rows.target, quick());
  ASSERT_FALSE(tuned);
  EXPECT_EQ(tuned.error().message, "validation rows: 2 columns, training rows: 3");
}

}  // namespace
}  // namespace auspex
