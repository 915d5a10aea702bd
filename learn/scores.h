// SPDX-License-Identifier: Apache-2.0
// Scores: how far a predictor is off, and how well limits cover.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace auspex {

// Units: hours; shares in [0, 1].
struct Scores {
  uint64_t jobs = 0;
  double rmse_h = 0, mae_h = 0, medae_h = 0;
  double accuracy = 0;         // mean of min/max of prediction and runtime
  double underestimation = 0;  // share of jobs that ran longer than predicted
};

double accuracy_of(double predicted_s, double runtime_s);

// Gathers one predictor's errors.
class Scorer {
 public:
  void add(double predicted_s, double runtime_s) { add(predicted_s, predicted_s, runtime_s); }
  // accuracy_point_s: the prediction whose accuracy counts.
  void add(double predicted_s, double accuracy_point_s, double runtime_s);
  Scores finish();  // needs at least one job

 private:
  Scores sum_;
  std::vector<double> errors_h_;
};

// The levels at which coverage is reported.
inline constexpr std::array<double, 3> kCoverageLevels = {.90, .95, .99};

// Of limits at one level.
struct Coverage {
  double jobs = 0;             // share that was not cut shorter than by the user's own limit
  double node_hours = 0;       // the same, of what the jobs used
  double users_at_level = 0;   // share of users with ten jobs or more that are covered at .90
  double requested_ratio = 0;  // node-hours of the limits against those of the users' limits
};

class CoverageCounter {
 public:
  // limit_s: applied; asked_s: by the user.
  void add(uint64_t owner, double nodes, double runtime_s, double limit_s, double asked_s);
  Coverage finish() const;

 private:
  struct Owner {
    uint32_t jobs = 0, covered = 0;
  };
  uint64_t jobs_ = 0, covered_ = 0;
  double hours_ = 0, covered_hours_ = 0, limit_hours_ = 0, asked_hours_ = 0;
  std::unordered_map<uint64_t, Owner> owners_;
};

}  // namespace auspex
