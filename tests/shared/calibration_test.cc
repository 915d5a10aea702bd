// SPDX-License-Identifier: Apache-2.0
#include "shared/calibration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace auspex {
namespace {

constexpr double kForever = std::numeric_limits<double>::infinity();
constexpr uint64_t kUser = 7, kOther = 8;
constexpr uint32_t kOldSignature = Calibration::kLeastJobs;
// Positions of the calibrated levels among the quantiles.
constexpr size_t kP80 = 5, kP90 = 6, kP95 = 7, kP99 = 8;

Prediction prediction_of(double p90_s, double p95_s, double p99_s) {
  Prediction p;
  p.quantiles_s = {.1 * p90_s, .2 * p90_s, .3 * p90_s, .4 * p90_s, .5 * p90_s,
                   .6 * p90_s, p90_s,      p95_s,      p99_s};
  return p;
}

// Every job below is predicted as this one unless the test says otherwise.
const Prediction kPredicted = prediction_of(100, 200, 400);

class Calibrated : public testing::Test {
 protected:
  // Jobs were submitted, ran and ended, one after the other.
  void run(size_t jobs, double runtime_s, uint64_t user = kOther, double asked_s = 3600) {
    for (size_t job = 0; job < jobs; ++job) {
      calibration_.ended(promise(user, asked_s), user, runtime_s);
    }
  }
  Promise promise(uint64_t user = kUser, double asked_s = 3600,
                  uint32_t signature_jobs = kOldSignature) const {
    return calibration_.promise(calibrated_logs(kPredicted), user, signature_jobs, asked_s);
  }
  Prediction applied(const Promise& promise) const {
    Prediction p = kPredicted;
    calibration_.apply(promise, p);
    return p;
  }
  std::array<Recipe, kCalibratedCount> recipes() const {
    return {calibration_.recipe(0), calibration_.recipe(1), calibration_.recipe(2)};
  }
  static constexpr std::array<Recipe, 3> all(Recipe recipe) { return {recipe, recipe, recipe}; }

  Calibration calibration_;
};

TEST_F(Calibrated, RecipesHaveNames) {
  EXPECT_EQ(recipe_name(Recipe::kRaw), "raw");
  EXPECT_EQ(recipe_name(Recipe::kCautious), "cautious");
}

TEST_F(Calibrated, IsCautiousUntilEnoughJobsEnded) {
  EXPECT_EQ(calibration_.coverage(0, Recipe::kRaw), 1);
  EXPECT_EQ(recipes(), all(Recipe::kCautious));
  run(Calibration::kLeast - 1, 10);
  EXPECT_EQ(recipes(), all(Recipe::kCautious));
  run(1, 10);
  EXPECT_EQ(recipes(), all(Recipe::kRaw));
  EXPECT_EQ(calibration_.jobs(), Calibration::kLeast);
}

TEST_F(Calibrated, CountsWhatARecipeCovers) {
  run(3, 10);
  run(1, 150);
  EXPECT_EQ(calibration_.coverage(0, Recipe::kRaw), 0.75);
  EXPECT_EQ(calibration_.coverage(1, Recipe::kRaw), 1);
  EXPECT_EQ(calibration_.coverage(0, Recipe::kCautious), 0.75);
  run(1, 150);  // after a job like it the user's offset covers
  EXPECT_EQ(calibration_.coverage(0, Recipe::kRaw), 0.6);
  EXPECT_EQ(calibration_.coverage(0, Recipe::kCautious), 0.8);
}

TEST_F(Calibrated, ARuntimeOfExactlyTheQuantileIsCovered) {
  run(1, 100);
  EXPECT_EQ(calibration_.coverage(0, Recipe::kRaw), 1);
}

TEST_F(Calibrated, AJobThatItsOwnLimitEndedIsCoveredByIt) {
  const Prediction at_limit = prediction_of(60, 60, 60);
  calibration_.ended(calibration_.promise(calibrated_logs(at_limit), kUser, kOldSignature, 60),
                     kUser,
                     75);  // ended late, as they are
  EXPECT_EQ(calibration_.coverage(0, Recipe::kRaw), 1);
}

// By a standard error of a hundred looks: .90 must cover .93 of the jobs.
TEST_F(Calibrated, StaysRawWhileThatClearlyCoversWhatTheLevelSays) {
  run(279, 10);
  run(21, 150);  // of 300 seven in a hundred exceed .90; none the others
  EXPECT_EQ(recipes(), all(Recipe::kRaw));
  run(1, 150);
  EXPECT_EQ(recipes(), (std::array{Recipe::kCautious, Recipe::kRaw, Recipe::kRaw}));
}

TEST_F(Calibrated, EachLevelHasItsOwnRecipe) {
  run(292, 10);
  run(8, 1000);  // exceeds all: too many for .99
  EXPECT_EQ(recipes(), (std::array{Recipe::kRaw, Recipe::kRaw, Recipe::kCautious}));
  run(1, 1000);  // and for .95
  EXPECT_EQ(recipes(), (std::array{Recipe::kRaw, Recipe::kCautious, Recipe::kCautious}));
}

TEST_F(Calibrated, OneLongJobIsEnoughToDoubtThatOneInAHundredIs) {
  run(Calibration::kWindow - 1, 10);
  run(1, 1000);
  EXPECT_EQ(recipes(), (std::array{Recipe::kRaw, Recipe::kRaw, Recipe::kCautious}));
}

TEST_F(Calibrated, FallsToCautiousAfterARunOfLongJobsAndComesBack) {
  constexpr size_t kLong = Calibration::kWindow * 7 / 100;
  run(Calibration::kWindow, 10);
  run(kLong, 150);
  EXPECT_EQ(calibration_.recipe(0), Recipe::kRaw);
  run(1, 150);
  EXPECT_EQ(calibration_.recipe(0), Recipe::kCautious);
  EXPECT_EQ(calibration_.recipe(1), Recipe::kRaw);
  // Until the first of the long ones is none of the last jobs any more.
  run(Calibration::kWindow - kLong - 1, 10);
  EXPECT_EQ(calibration_.recipe(0), Recipe::kCautious);
  run(1, 10);
  EXPECT_EQ(calibration_.recipe(0), Recipe::kRaw);
  EXPECT_EQ(calibration_.jobs(), Calibration::kWindow);
}

TEST_F(Calibrated, RawLeavesThePredictionAsItIs) {
  run(Calibration::kLeast, 10);
  EXPECT_EQ(applied(promise(kUser, 3600, 0)).quantiles_s, kPredicted.quantiles_s);
}

TEST_F(Calibrated, ANewSignatureKeepsTheUsersLimit) {
  run(10, 10, kUser);
  EXPECT_TRUE(promise(kUser, 3600, Calibration::kLeastJobs - 1).is_new);
  const Prediction p = applied(promise(kUser, 3600, Calibration::kLeastJobs - 1));
  for (const size_t level : {kP90, kP95, kP99}) EXPECT_EQ(p.quantiles_s[level], 3600);
  EXPECT_FALSE(promise().is_new);
  EXPECT_LT(applied(promise()).quantiles_s[kP99], 3600);
}

TEST_F(Calibrated, ANewUserKeepsTheUsersLimit) {
  run(Calibration::kLeastJobs - 1, 10, kUser);
  EXPECT_TRUE(promise().is_new);
  EXPECT_EQ(applied(promise()).quantiles_s[kP90], 3600);
  run(1, 10, kUser);
  EXPECT_FALSE(promise().is_new);
  EXPECT_NEAR(applied(promise()).quantiles_s[kP90], 100, 1e-3);
}

TEST_F(Calibrated, TheOffsetIsTheWorstOfTheUsersLastJobs) {
  run(1, 300, kUser);  // three times .90, 1.5 times .95, below .99
  run(Calibration::kUserScores - 1, 10, kUser);
  const Prediction p = applied(promise());
  EXPECT_NEAR(p.quantiles_s[kP90], 300, 1e-2);
  EXPECT_NEAR(p.quantiles_s[kP95], 300, 1e-2);
  EXPECT_NEAR(p.quantiles_s[kP99], 400, 1e-2);  // an offset never lowers a quantile
  EXPECT_NEAR(promise().log_offset[0], std::log(3), 1e-5);
  EXPECT_NEAR(promise().log_offset[2], std::log(0.75), 1e-5);
  EXPECT_NEAR(promise(kOther).log_offset[0], 0, 1e-5);

  run(1, 20, kUser);  // the long one is none of the last any more
  EXPECT_NEAR(promise().log_offset[0], std::log(0.2), 1e-5);
  EXPECT_NEAR(applied(promise()).quantiles_s[kP90], 100, 1e-3);
}

TEST_F(Calibrated, OtherUsersJobsMoveNobodysQuantiles) {
  run(3, 10, kUser);
  run(50, 3000, kOther);
  EXPECT_NEAR(applied(promise(kUser)).quantiles_s[kP90], 100, 1e-3);
  EXPECT_NEAR(applied(promise(kOther)).quantiles_s[kP90], 3000, 1);
}

TEST_F(Calibrated, NeverExceedsTheAskedLimitAndReachesItExactly) {
  run(3, 3000, kUser);  // an offset of 30
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    const double asked_s = std::exp(std::uniform_real_distribution<double>(5, 15)(random));
    const double p90_s = asked_s * std::uniform_real_distribution<double>(0.02, 1)(random);
    Prediction p = prediction_of(p90_s, p90_s, p90_s);
    const Promise promised =
        calibration_.promise(calibrated_logs(p), kUser, kOldSignature, asked_s);
    calibration_.apply(promised, p);
    for (size_t level = 0; level < kCalibratedCount; ++level) {
      ASSERT_LE(promised.log_limit(level, Recipe::kRaw), promised.log_asked);
      ASSERT_LE(promised.log_limit(level, Recipe::kCautious), promised.log_asked);
    }
    const bool reached = p90_s * 30 > asked_s * 1.001;
    for (const size_t level : {kP90, kP95, kP99}) ASSERT_LE(p.quantiles_s[level], asked_s);
    if (reached) {
      ASSERT_EQ(p.quantiles_s[kP90], asked_s);
    } else if (p90_s * 30 < asked_s * 0.999) {
      ASSERT_LT(p.quantiles_s[kP90], asked_s);
    }
  }
}

TEST_F(Calibrated, KeepsTheOrderAndTheLowerLevels) {
  std::mt19937 random(3);
  const auto uniform = [&random](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  for (int i = 0; i < 4000; ++i) {
    const double asked_s = i % 7 == 0 ? kForever : std::exp(uniform(4, 12));
    Prediction raw;
    for (double& q : raw.quantiles_s) q = std::min(asked_s, std::exp(uniform(0, 12)));
    std::sort(raw.quantiles_s.begin(), raw.quantiles_s.end());
    const Promise promised = calibration_.promise(calibrated_logs(raw), random() % 9,
                                                  static_cast<uint32_t>(random() % 9), asked_s);
    Prediction p = raw;
    calibration_.apply(promised, p);
    ASSERT_TRUE(std::is_sorted(p.quantiles_s.begin(), p.quantiles_s.end())) << i;
    ASSERT_TRUE(std::equal(raw.quantiles_s.begin(), raw.quantiles_s.begin() + kP80 + 1,
                           p.quantiles_s.begin()));
    for (const double q : p.quantiles_s) ASSERT_LE(q, asked_s);
    // Ever fewer jobs exceed: the recipes are cautious, mixed and raw in turn.
    const double share = uniform(0, 1) < 150.0 / (i + 150) ? 1.1 : 0.9;
    calibration_.ended(promised, random() % 9, share * raw.quantiles_s[kP90 + random() % 3]);
  }
  EXPECT_EQ(calibration_.jobs(), Calibration::kWindow);
}

TEST_F(Calibrated, WithoutALimitANewJobGetsTheHighestQuantile) {
  const Prediction p = applied(promise(kUser, kForever, 0));
  for (const size_t level : {kP90, kP95, kP99}) EXPECT_NEAR(p.quantiles_s[level], 400, 1e-3);
}

TEST_F(Calibrated, WithoutALimitTheOffsetIsNotCut) {
  run(3, 100'000, kUser, kForever);
  const Prediction p = applied(promise(kUser, kForever));
  EXPECT_NEAR(p.quantiles_s[kP90], 100'000, 10);
  EXPECT_NEAR(p.quantiles_s[kP99], 100'000, 10);
  EXPECT_EQ(applied(promise(kUser, 3600)).quantiles_s[kP99], 3600);
}

TEST_F(Calibrated, WithoutALimitNothingIsLongerThanAYear) {
  run(3, 1e7, kUser, kForever);
  const Prediction month = prediction_of(3e6, 3e6, 3e6);
  Prediction p = month;
  calibration_.apply(calibration_.promise(calibrated_logs(month), kUser, kOldSignature, kForever),
                     p);
  EXPECT_EQ(p.quantiles_s[kP99], 366 * 86400.0);
}

TEST_F(Calibrated, AJobThatAShorterLimitEndedProvesNoQuantile) {
  calibration_.ended(promise(), kUser, 150, /*at_limit=*/true);
  for (size_t level = 0; level < kCalibratedCount; ++level) {
    EXPECT_EQ(calibration_.coverage(level, Recipe::kRaw), 0) << "it might have run on";
  }
  calibration_.ended(promise(kUser, 150), kUser, 150, true);  // the user's own
  EXPECT_EQ(calibration_.coverage(2, Recipe::kRaw), 0.5);
}

TEST_F(Calibrated, WithoutALimitANewJobIsCoveredByTheHighestQuantileOnly) {
  calibration_.ended(promise(kUser, kForever, 0), kUser, 500);
  EXPECT_EQ(calibration_.coverage(0, Recipe::kCautious), 0);
  calibration_.ended(promise(kUser, kForever, 0), kUser, 300);
  EXPECT_EQ(calibration_.coverage(0, Recipe::kCautious), 0.5);
}

TEST_F(Calibrated, AJobThatNeverRanDoesNotCount) {
  for (const double runtime_s : {0.0, -5.0, std::nan("")}) {
    run(5, runtime_s, kUser);
  }
  EXPECT_EQ(calibration_.jobs(), 0U);
  EXPECT_TRUE(promise().is_new);
}

TEST_F(Calibrated, OfTooManyUsersTheOneSilentForLongestIsForgotten) {
  for (uint64_t user = 0; user < Calibration::kMostUsers; ++user) run(3, 10, user);
  run(1, 10, 0);
  run(1, 10, Calibration::kMostUsers);
  EXPECT_FALSE(promise(0).is_new);
  EXPECT_TRUE(promise(1).is_new);
  EXPECT_FALSE(promise(2).is_new);
}

// Everything that can be told from outside is the same.
void expect_same(const Calibration& a, const Calibration& b) {
  const CalibrationState left = a.state(), right = b.state();
  EXPECT_EQ(left.window, right.window);
  ASSERT_EQ(left.users.size(), right.users.size());
  for (size_t i = 0; i < left.users.size(); ++i) {
    EXPECT_EQ(left.users[i].key, right.users[i].key);
    EXPECT_EQ(left.users[i].scores, right.users[i].scores);
  }
  for (size_t level = 0; level < kCalibratedCount; ++level) {
    for (const Recipe recipe : {Recipe::kRaw, Recipe::kCautious}) {
      EXPECT_EQ(a.coverage(level, recipe), b.coverage(level, recipe));
    }
  }
}

TEST_F(Calibrated, GoesOnFromItsStateAsIfItHadNeverBeenSaved) {
  std::mt19937 random(5);
  const auto job = [&random] { return std::exp(std::uniform_real_distribution<>(1, 8)(random)); };
  for (size_t i = 0; i < Calibration::kWindow + 50; ++i) run(1, job(), random() % 90);
  Calibration restored = *Calibration::of(calibration_.state());
  expect_same(restored, calibration_);
  for (int i = 0; i < 400; ++i) {
    const uint64_t user = random() % 100;
    const double runtime_s = job();
    restored.ended(restored.promise(calibrated_logs(kPredicted), user, kOldSignature, 3600), user,
                   runtime_s);
    run(1, runtime_s, user);
  }
  expect_same(restored, calibration_);
}

TEST_F(Calibrated, WithLessRoomItKeepsTheUsersOfTheLastJobs) {
  for (const uint64_t user : {1, 2, 3, 1}) run(3, 10, user);
  calibration_ = calibration_.resized(2);
  EXPECT_FALSE(promise(1).is_new);
  EXPECT_TRUE(promise(2).is_new);
  EXPECT_FALSE(promise(3).is_new);
  run(3, 10, 4);
  EXPECT_TRUE(promise(3).is_new);
  EXPECT_EQ(calibration_.jobs(), 15U) << "the window is everybody's";
}

TEST_F(Calibrated, RefusesAStateThatCannotBeOne) {
  run(5, 150, kUser);
  const auto refused = [this](const auto& spoil) {
    CalibrationState state = calibration_.state();
    spoil(state);
    const Result<Calibration> calibration = Calibration::of(state);
    return calibration ? std::string() : calibration.error().message;
  };
  EXPECT_EQ(refused([](CalibrationState&) {}), "");
  EXPECT_EQ(refused([](CalibrationState& s) { s.users.push_back(s.users[0]); }),
            "calibration: a user twice");
  EXPECT_EQ(refused([](CalibrationState& s) { s.users[0].scores.clear(); }),
            "calibration: a user with 0 jobs");
  EXPECT_EQ(refused([](CalibrationState& s) { s.users[0].scores.resize(61); }),
            "calibration: a user with 61 jobs");
  EXPECT_EQ(refused([](CalibrationState& s) { s.users[0].scores[2][1] = std::nanf(""); }),
            "calibration: a score that cannot be one");
  EXPECT_EQ(refused([](CalibrationState& s) { s.users[0].scores[2][1] = 3e38F; }),
            "calibration: a score that cannot be one");
  EXPECT_EQ(refused([](CalibrationState& s) { s.window[0] = 64; }),
            "calibration: a recipe that there is not");
  EXPECT_EQ(refused([](CalibrationState& s) { s.window.resize(Calibration::kWindow + 1); }),
            "calibration: more users or jobs than are kept");
}

}  // namespace
}  // namespace auspex
