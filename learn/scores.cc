// SPDX-License-Identifier: Apache-2.0
#include "learn/scores.h"

#include <algorithm>
#include <cmath>

namespace auspex {
namespace {

constexpr double kHourS = 3600;

double share(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

}  // namespace

double accuracy_of(double predicted_s, double runtime_s) {
  return std::min(predicted_s, runtime_s) / std::max(predicted_s, runtime_s);
}

void Scorer::add(double predicted_s, double accuracy_point_s, double runtime_s) {
  const double error_h = std::abs(predicted_s - runtime_s) / kHourS;
  errors_h_.push_back(error_h);
  sum_.rmse_h += error_h * error_h;
  sum_.mae_h += error_h;
  sum_.accuracy += accuracy_of(accuracy_point_s, runtime_s);
  sum_.underestimation += predicted_s < runtime_s ? 1 : 0;
}

Scores Scorer::finish() {
  const auto count = static_cast<double>(errors_h_.size());
  Scores scores = sum_;
  scores.jobs = errors_h_.size();
  scores.rmse_h = std::sqrt(sum_.rmse_h / count);
  scores.mae_h /= count;
  scores.accuracy /= count;
  scores.underestimation /= count;
  const auto middle = errors_h_.begin() + static_cast<std::ptrdiff_t>(errors_h_.size() / 2);
  std::nth_element(errors_h_.begin(), middle, errors_h_.end());
  scores.medae_h = *middle;
  return scores;
}

void CoverageCounter::add(uint64_t owner, double nodes, double runtime_s, double limit_s,
                          double asked_s) {
  const double needed_s = std::min(runtime_s, asked_s);
  const bool covered = needed_s <= limit_s;
  const double hours = nodes * needed_s / kHourS;
  ++jobs_;
  covered_ += covered ? 1 : 0;
  hours_ += hours;
  covered_hours_ += covered ? hours : 0;
  if (std::isfinite(asked_s)) {
    asked_hours_ += nodes * asked_s / kHourS;
    limit_hours_ += nodes * std::min(limit_s, asked_s) / kHourS;
  }
  Owner& of = owners_[owner];
  ++of.jobs;
  of.covered += covered ? 1 : 0;
}

Coverage CoverageCounter::finish() const {
  constexpr uint32_t kLeastJobs = 10;  // fewer say nothing about a share
  constexpr double kUserLevel = 0.9;
  double users = 0, well = 0;
  for (const auto& [owner, counts] : owners_) {
    if (counts.jobs < kLeastJobs) continue;
    ++users;
    well += counts.covered >= kUserLevel * counts.jobs ? 1 : 0;
  }
  return {share(static_cast<double>(covered_), static_cast<double>(jobs_)),
          share(covered_hours_, hours_), share(well, users), share(limit_hours_, asked_hours_)};
}

}  // namespace auspex
