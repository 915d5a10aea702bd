// SPDX-License-Identifier: Apache-2.0
// The baseline that a runtime predictor has to beat: XGBoost's gradient boosted trees (Chen and
// Guestrin, 2016) on rows of numbers, through libxgboost's C interface.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "shared/result.h"

namespace auspex {

// Numbers of the caller, row by row. NaN: missing.
struct Matrix {
  std::span<const float> values;
  size_t rows = 0, columns = 0;
};

enum class BoostedObjective : uint8_t { kSquaredError, kAbsoluteError };
std::string_view name_of(BoostedObjective objective);

struct BoostedOptions {
  BoostedObjective objective = BoostedObjective::kAbsoluteError;
  int depth = 6;
  double eta = 0.1;  // how much of each tree counts
  // With fit the number of trees, with tuned the most of them.
  int rounds = 500;
  // tuned stops after so many rounds without a better validation.
  int patience = 50;
  // Shares of the rows and columns that each tree sees. Below 1 the seed matters.
  double row_share = 0.8, column_share = 0.8;
  // 0: one per core. Absolute error sorts with all cores whatever this says, and OpenMP's threads
  // spin while they wait: where others need the cores, OMP_WAIT_POLICY=passive is much faster.
  int threads = 0;
  int seed = 1;
};

// How well one setting did on the validation rows, after its best number of rounds.
struct BoostedTrial {
  BoostedOptions options;  // rounds: the best number
  double mae_h = 0;        // of exp(prediction), in hours
  double accuracy = 0;     // mean of min/max of exp(prediction) and runtime
};

// The targets are log(runtime in s). A fit is the same for the same rows, options and threads.
class BoostedTrees {
 public:
  // Errors: no rows or no columns; sizes that disagree; a target that is not finite; what
  // libxgboost says, as of a value that is infinite.
  static Result<BoostedTrees> fit(const Matrix& train, std::span<const float> target,
                                  const BoostedOptions& options);

  // Tries both objectives with depths 6 and 8, each with the number of rounds that predicts the
  // validation rows best; takes the one of least mae_h and fits it again on all rows. The
  // validation rows are to be later than the training rows: what is predicted is the future.
  static Result<BoostedTrees> tuned(const Matrix& train, std::span<const float> target,
                                    const Matrix& validation,
                                    std::span<const float> validation_target,
                                    const BoostedOptions& options);

  // log(runtime in s) of each row. Error: other columns than those of the fit.
  Result<std::vector<float>> predict(const Matrix& rows) const;

  // The same without a matrix of libxgboost's in between: the fastest way for few rows. The span
  // lives until the next prediction.
  Result<std::span<const float>> predict_in_place(const Matrix& rows) const;

  const BoostedOptions& options() const { return options_; }
  // The settings that tuned tried; none after fit.
  const std::vector<BoostedTrial>& trials() const { return trials_; }

 private:
  struct Free {
    void operator()(void* booster) const;
  };
  using Handle = std::unique_ptr<void, Free>;
  class Training;

  BoostedTrees(Handle booster, size_t columns, const BoostedOptions& options);

  Handle booster_;
  size_t columns_;
  BoostedOptions options_;
  std::vector<BoostedTrial> trials_;
};

}  // namespace auspex
