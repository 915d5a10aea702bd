// SPDX-License-Identifier: Apache-2.0
#include "shared/calibration.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

namespace auspex {
namespace {

// Position of each calibrated level among the trained ones.
constexpr std::array<size_t, kCalibratedCount> kTrainedLevel = {6, 7, 8};
static_assert(kQuantileLevels[6] == kCalibratedLevels[0] &&
              kQuantileLevels[7] == kCalibratedLevels[1] &&
              kQuantileLevels[8] == kCalibratedLevels[2]);

constexpr double kLongestS = 366 * 86400.0;  // as prediction_from_outputs()

float log_of(double seconds) {
  return static_cast<float>(std::log(std::max(seconds, 1.0)));
}

}  // namespace

std::string_view recipe_name(Recipe recipe) {
  return recipe == Recipe::kRaw ? "raw" : "cautious";
}

CalibratedLogs calibrated_logs(const Prediction& prediction) {
  CalibratedLogs logs{};
  for (size_t level = 0; level < kCalibratedCount; ++level) {
    logs[level] = log_of(prediction.quantiles_s[kTrainedLevel[level]]);
  }
  return logs;
}

float Promise::log_limit(size_t level, Recipe recipe) const {
  if (recipe == Recipe::kRaw) return std::min(log_quantile[level], log_asked);
  if (is_new) return std::isfinite(log_asked) ? log_asked : log_quantile.back();
  return std::min(log_quantile[level] + std::max(log_offset[level], 0.0F), log_asked);
}

Promise Calibration::promise(const CalibratedLogs& raw, uint64_t user, uint32_t signature_jobs,
                             double asked_s) const {
  Promise promise;
  promise.log_quantile = raw;
  promise.log_asked =
      std::isfinite(asked_s) ? log_of(asked_s) : std::numeric_limits<float>::infinity();
  promise.asked_s = asked_s;
  const auto found = users_.find(user);
  promise.is_new =
      signature_jobs < kLeastJobs || found == users_.end() || found->second.count < kLeastJobs;
  if (found == users_.end()) return promise;
  const User& of = found->second;
  promise.log_offset.fill(-std::numeric_limits<float>::infinity());
  for (size_t job = 0; job < of.count; ++job) {
    for (size_t level = 0; level < kCalibratedCount; ++level) {
      promise.log_offset[level] = std::max(promise.log_offset[level], of.scores[job][level]);
    }
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
      quantile_s = log_limit_s < promise.log_asked
                       ? std::min(std::exp(static_cast<double>(log_limit_s)), kLongestS)
                       : promise.asked_s;
    }
    least_s = quantile_s = std::max(quantile_s, least_s);
  }
}

void Calibration::ended(const Promise& promise, uint64_t user, double runtime_s, bool at_limit) {
  if (!(runtime_s > 0) || !std::isfinite(runtime_s)) return;
  constexpr float kRounding = 1e-5F;
  constexpr float kEndsEarly = 0.03F;  // Slurm looks at limits every half minute
  const float needed = std::min(log_of(runtime_s), promise.log_asked);
  const bool was_cut = at_limit && needed < promise.log_asked - kEndsEarly;
  uint16_t bits = 0;
  CalibratedLogs scores{};
  for (size_t level = 0; level < kCalibratedCount; ++level) {
    scores[level] = needed - promise.log_quantile[level];
    for (size_t recipe = 0; recipe < kRecipes; ++recipe) {
      const float log_limit_s = promise.log_limit(level, static_cast<Recipe>(recipe));
      const bool covered =
          was_cut ? log_limit_s >= promise.log_asked : needed <= log_limit_s + kRounding;
      bits = static_cast<uint16_t>(bits | (covered ? 1U << (level * kRecipes + recipe) : 0U));
    }
  }
  add_to_window(bits);
  user_at(user).add(scores);
}

void Calibration::add_to_window(uint16_t bits) {
  window_.push_back(bits);
  for (size_t bit = 0; bit < covered_.size(); ++bit) covered_[bit] += (bits >> bit) & 1U;
  if (window_.size() <= kWindow) return;
  for (size_t bit = 0; bit < covered_.size(); ++bit) covered_[bit] -= (window_.front() >> bit) & 1U;
  window_.pop_front();
}

void Calibration::User::add(const CalibratedLogs& score) {
  scores[next] = score;
  next = static_cast<uint32_t>((next + 1) % kUserScores);
  count = std::min<uint32_t>(count + 1, kUserScores);
}

Calibration::User& Calibration::user_at(uint64_t key) {
  User& user = users_[key];
  order_.erase(user.touched);
  user.touched = ++ended_;
  order_.emplace(user.touched, key);
  if (users_.size() > most_users_) {
    users_.erase(order_.begin()->second);
    order_.erase(order_.begin());
  }
  return user;
}

double Calibration::coverage(size_t level, Recipe recipe) const {
  if (window_.empty()) return 1;
  return static_cast<double>(covered_[level * kRecipes + static_cast<size_t>(recipe)]) /
         static_cast<double>(window_.size());
}

Recipe Calibration::recipe(size_t level) const {
  // Jobs come in bursts of about thirty: the window is about a hundred independent looks, and the
  // raw quantile must cover its level by one standard error of so many. Source: our choice.
  constexpr double kLooks = 100;
  const double promised = kCalibratedLevels[level];
  const double least = promised + std::sqrt(promised * (1 - promised) / kLooks);
  return window_.size() >= kLeast && coverage(level, Recipe::kRaw) >= least ? Recipe::kRaw
                                                                            : Recipe::kCautious;
}

CalibrationState Calibration::state() const {
  CalibrationState state;
  for (const auto& [touched, key] : order_) {
    const User& of = users_.at(key);
    CalibrationState::User out{key, {}};
    for (uint32_t back = of.count; back > 0; --back) {
      out.scores.push_back(of.scores[(of.next + kUserScores - back) % kUserScores]);
    }
    state.users.push_back(std::move(out));
  }
  state.window.assign(window_.begin(), window_.end());
  return state;
}

Result<Calibration> Calibration::of(const CalibrationState& state, size_t most_users) {
  if (state.users.size() > kMostUsers || state.window.size() > kWindow) {
    return Error{"calibration: more users or jobs than are kept"};
  }
  Calibration calibration(most_users);
  for (const CalibrationState::User& user : state.users) {
    if (calibration.users_.contains(user.key)) return Error{"calibration: a user twice"};
    if (user.scores.empty() || user.scores.size() > kUserScores) {
      return Error{"calibration: a user with " + std::to_string(user.scores.size()) + " jobs"};
    }
    User& kept = calibration.user_at(user.key);
    for (const CalibratedLogs& score : user.scores) {
      // Logs of a runtime and a quantile, each between a second and years.
      constexpr float kMost = 40;
      if (!std::all_of(score.begin(), score.end(), [](float s) { return std::abs(s) <= kMost; })) {
        return Error{"calibration: a score that cannot be one"};
      }
      kept.add(score);
    }
  }
  for (const uint16_t bits : state.window) {
    if (bits >> (kCalibratedCount * kRecipes) != 0) {
      return Error{"calibration: a recipe that there is not"};
    }
    calibration.add_to_window(bits);
  }
  return calibration;
}

size_t Calibration::bytes_at_most(size_t most_users) {
  // A node of the hash table and its buckets, a node of the order: as malloc rounds them up.
  constexpr size_t kNode = sizeof(User) + 8 * sizeof(uint64_t) + 10 * sizeof(uint64_t);
  // One is entered before the oldest leaves.
  return (std::min(most_users, kMostUsers) + 1) * kNode + 2 * kWindow * sizeof(uint16_t);
}

}  // namespace auspex
