// SPDX-License-Identifier: Apache-2.0
// Evaluate: how well a model and the baselines predict a history, in the order of time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "learn/dataset.h"
#include "learn/figure.h"
#include "learn/forecaster.h"
#include "learn/play.h"
#include "learn/scores.h"
#include "shared/calibration.h"
#include "shared/result.h"

namespace auspex {

struct EvaluateOptions {
  int64_t first_s = std::numeric_limits<int64_t>::min();  // older jobs are history only
  int64_t from_s = 0;  // the jobs submitted from there on are scored
  int64_t until_s = std::numeric_limits<int64_t>::max();  // what happened later is unknown
  // At its start a job is predicted again: how well a pending job can be predicted once its
  // siblings have ended.
  Moment at = Moment::kSubmit;
  bool summaries = false;                   // fill Evaluation::train and ::test
  std::function<void()> submitted = [] {};  // called for each job that is played
};

// Rows of numbers for a model that knows no pointers: request and history.
struct SummaryRows {
  size_t columns = 0;
  std::vector<float> values;      // Shape: [rows][columns], NaN = missing
  std::vector<double> runtime_s;  // Shape: [rows]
  std::vector<double> limit_s;    // Shape: [rows]
};

struct Evaluation {
  std::string model, backend;
  Scores auspex;              // of the median; the accuracy is that of the accuracy point
  Scores limit;               // what the user asked for
  Scores last2;               // mean of the owner's last two runtimes that were known
  Scores last_signature;      // the last runtime of the same signature; of the user without one
  double rmse_of_mean_h = 0;  // of the distribution's mean, which is what squares ask for
  double confident_half_accuracy = 0;  // of the half of the jobs with the most confidence
  std::array<Coverage, kCoverageLevels.size()> raw;        // the network's quantiles as limits
  std::array<Coverage, kCoverageLevels.size()> applied;    // after calibration
  std::array<std::string, kCoverageLevels.size()> recipe;  // in use at the end
  // Node-hours of the limits that the default configuration would apply in mode guarded (0.9
  // quantile x margin, rounded up), against those of the users' limits.
  double requested_hours_ratio = 1;
  Calibration calibration;        // as it is at the end
  std::vector<ScoredJob> scored;  // for the figure
  SummaryRows train, test;        // train: jobs that had ended when the first scored one came
};

// Plays the history, and scores its end. Calibration goes on from the model's.
// Errors: no job to score; the forecaster's.
Result<Evaluation> evaluate(const std::vector<HistoryJob>& jobs, Forecaster& forecaster,
                            const EvaluateOptions& options);

// Scores of a predictor that gives one number per test row.
Scores score(const SummaryRows& test, const std::vector<double>& predicted_s);

}  // namespace auspex
