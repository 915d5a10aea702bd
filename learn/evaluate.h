// SPDX-License-Identifier: Apache-2.0
// Evaluate: how well a model and the baselines predict a history, in the order of time.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "learn/dataset.h"
#include "shared/result.h"

namespace auspex {

struct EvaluateOptions {
  HistorySource history;
  std::string model;
  double from_fraction = 0.7;  // of the submissions; the jobs from there on are scored
};

// How far one predictor is off. Units: hours; shares in [0, 1].
struct Scores {
  uint64_t jobs = 0;
  double rmse_h = 0, mae_h = 0, medae_h = 0;
  double accuracy = 0;         // mean of min/max of prediction and runtime
  double underestimation = 0;  // share of jobs that ran longer than predicted
};

struct Evaluation {
  std::string model, backend;
  ReadReport read;
  Scores auspex;  // of the median; the accuracy is that of the accuracy point
  Scores limit;   // what the user asked for
  Scores last2;   // mean of the owner's last two runtimes that were known at submission
  // Share of jobs that the raw quantile as a limit would not have cut shorter than the user's own
  // limit did: min(runtime, limit) <= quantile.
  double coverage_p90 = 0, coverage_p95 = 0, coverage_p99 = 0;
  // Node-hours of the limits that the default configuration would apply in mode guarded (0.9
  // quantile x margin, rounded up), against those of the users' limits.
  double requested_hours_ratio = 1;
};

// Errors: those of read_history and RuntimePredictor::load; no job to score.
Result<Evaluation> evaluate(const EvaluateOptions& options);

nlohmann::json to_json(const Evaluation& evaluation);
void print_table(const Evaluation& evaluation, std::ostream& out);

}  // namespace auspex
