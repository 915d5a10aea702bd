// SPDX-License-Identifier: Apache-2.0
#include "shared/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace auspex {
namespace {

// Position of each calibrated level among the trained ones.
constexpr std::array<size_t, kCalibratedCount> kTrainedLevel = {6, 7, 8};
static_assert(kQuantileLevels[6] == kCalibratedLevels[0] &&
              kQuantileLevels[7] == kCalibratedLevels[1] &&
              kQuantileLevels[8] == kCalibratedLevels[2]);

float log_of(double seconds) {
  return static_cast<float>(std::log(std::max(seconds, 1.0)));
}

}  // namespace

std::string_view recipe_name(Recipe recipe) {
  return recipe == Recipe::kRaw ? "raw" : "cautious";
}

float Promise::log_limit(size_t level, Recipe recipe) const {
  if (recipe == Recipe::kRaw) return std::min(log_quantile[level], log_asked);
  if (is_new) return log_asked;
  return std::min(log_quantile[level] + std::max(log_offset[level], 0.0F), log_asked);
}

Promise Calibration::promise(const Prediction& raw, uint64_t user, uint32_t signature_jobs,
                             double asked_s) const {
  Promise promise;
  promise.log_asked =
      std::isfinite(asked_s) ? log_of(asked_s) : std::numeric_limits<float>::infinity();
  promise.asked_s = asked_s;
  for (size_t level = 0; level < kCalibratedCount; ++level) {
    promise.log_quantile[level] = log_of(raw.quantiles_s[kTrainedLevel[level]]);
  }
  const auto found = users_.find(user);
  promise.is_new = signature_jobs < kLeastJobs || found == users_.end() ||
                   found->second.scores.size() < kLeastJobs;
  if (found == users_.end()) return promise;
  for (size_t level = 0; level < kCalibratedCount; ++level) {
    float worst = -std::numeric_limits<float>::infinity();
    for (const auto& score : found->second.scores) worst = std::max(worst, score[level]);
    promise.log_offset[level] = worst;
  }
  return promise;
}

void Calibration::apply(const Promise& promise, Prediction& prediction) const {
  double least_s = prediction.quantiles_s[kTrainedLevel[0] - 1];
  for (size_t level = 0; level < kCalibratedCount; ++level) {
    const Recipe in_use = recipe(level);
    double& quantile_s = prediction.quantiles_s[kTrainedLevel[level]];
    if (in_use != Recipe::kRaw) {
      const float log_limit_s = promise.log_limit(level, in_use);
      // A float's log of the limit would not come back as the limit.
      const double limit_s = log_limit_s < promise.log_asked
                                 ? std::exp(static_cast<double>(log_limit_s))
                                 : promise.asked_s;
      quantile_s = std::isfinite(limit_s) ? limit_s : prediction.quantiles_s.back();
    }
    least_s = quantile_s = std::max(quantile_s, least_s);
  }
}

void Calibration::submitted(uint64_t key, const Promise& promise) {
  const auto [entry, fresh] = in_flight_.try_emplace(key, InFlight{promise, 0, 0});
  ++entry->second.count;
  if (!fresh) return;
  entry->second.number = ++submitted_;
  in_flight_order_.emplace_back(key, submitted_);
  // Those that ended still stand in the order, under numbers that nobody has any more.
  const auto stale = [this](const std::pair<uint64_t, uint64_t>& place) {
    const auto found = in_flight_.find(place.first);
    return found == in_flight_.end() || found->second.number != place.second;
  };
  if (in_flight_order_.size() > 2 * kMostInFlight) std::erase_if(in_flight_order_, stale);
  while (in_flight_.size() > kMostInFlight) {
    if (!stale(in_flight_order_.front())) in_flight_.erase(in_flight_order_.front().first);
    in_flight_order_.pop_front();
  }
}

void Calibration::ended(uint64_t key, uint64_t user, double runtime_s) {
  const auto found = in_flight_.find(key);
  if (found == in_flight_.end()) return;
  const Promise promise = found->second.promise;
  if (--found->second.count == 0) in_flight_.erase(found);
  if (!(runtime_s > 0) || !std::isfinite(runtime_s)) return;

  constexpr float kRounding = 1e-5F;
  const float needed = std::min(log_of(runtime_s), promise.log_asked);
  uint16_t bits = 0;
  std::array<float, kCalibratedCount> scores{};
  for (size_t level = 0; level < kCalibratedCount; ++level) {
    scores[level] = needed - promise.log_quantile[level];
    for (size_t recipe = 0; recipe < kRecipes; ++recipe) {
      const bool covered =
          needed <= promise.log_limit(level, static_cast<Recipe>(recipe)) + kRounding;
      const size_t bit = level * kRecipes + recipe;
      bits = static_cast<uint16_t>(bits | (covered ? 1U << bit : 0U));
      covered_[bit] += covered ? 1 : 0;
    }
  }
  window_.push_back(bits);
  if (window_.size() > kWindow) {
    for (size_t bit = 0; bit < covered_.size(); ++bit) {
      covered_[bit] -= (window_.front() >> bit) & 1U;
    }
    window_.pop_front();
  }

  User& of = users_[user];
  of.touched = ++ended_;
  of.scores.push_back(scores);
  if (of.scores.size() > kUserScores) of.scores.pop_front();
  if (users_.size() > kMostUsers) forget_oldest_user();
}

void Calibration::forget_oldest_user() {
  users_.erase(std::min_element(users_.begin(), users_.end(), [](const auto& a, const auto& b) {
    return a.second.touched < b.second.touched;
  }));
}

double Calibration::coverage(size_t level, Recipe recipe) const {
  if (window_.empty()) return 1;
  return static_cast<double>(covered_[level * kRecipes + static_cast<size_t>(recipe)]) /
         static_cast<double>(window_.size());
}

Recipe Calibration::recipe(size_t level) const {
  const bool holds = coverage(level, Recipe::kRaw) >= kCalibratedLevels[level];
  return window_.size() >= kLeast && holds ? Recipe::kRaw : Recipe::kCautious;
}

}  // namespace auspex
