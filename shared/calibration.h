// SPDX-License-Identifier: Apache-2.0
// Calibration: keeps the upper quantiles to what they promise, from jobs that ended lately.
//
// Two recipes per level: the quantile as the network gives it, and the cautious one: moved up by
// the user's own offset, and the user's limit where signature or user are new. The first is applied
// while it covers what it should among the last jobs.
// Source: conformal prediction (Vovk, Gammerman, Shafer 2005) with the worst of the user's last
// scores as its offset: jobs come in bursts, and a burst is not one of many.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "shared/prediction.h"

namespace auspex {

inline constexpr std::array<double, 3> kCalibratedLevels = {.90, .95, .99};
inline constexpr size_t kCalibratedCount = kCalibratedLevels.size();

enum class Recipe : uint8_t { kRaw, kCautious };
std::string_view recipe_name(Recipe recipe);  // "raw", "cautious"

// What a job was promised at its submission. Natural logs of seconds.
struct Promise {
  std::array<float, kCalibratedCount> log_quantile{};  // the network's
  std::array<float, kCalibratedCount> log_offset{};    // the user's
  float log_asked = 0;                                 // the user's limit; infinity without one
  double asked_s = 0;                                  // the same, exactly
  bool is_new = false;  // the signature or the user has too few jobs: the user's limit stays

  float log_limit(size_t level, Recipe recipe) const;
};

class Calibration {
 public:
  static constexpr size_t kWindow = 3000;    // jobs that say which recipe holds
  static constexpr size_t kLeast = 300;      // fewer say nothing
  static constexpr size_t kUserScores = 60;  // of a user's last jobs
  static constexpr uint32_t kLeastJobs = 3;  // of a signature, or it is new
  static constexpr size_t kMostUsers = 1U << 14, kMostInFlight = 1U << 18;

  // signature_jobs: how many of the signature had ended. asked_s: infinity without a limit.
  Promise promise(const Prediction& raw, uint64_t user, uint32_t signature_jobs,
                  double asked_s) const;

  // Replaces the calibrated levels by what the recipes in use give; quantiles stay ascending.
  void apply(const Promise& promise, Prediction& prediction) const;

  // key: finds the job again when it ends; equal keys share the first promise.
  void submitted(uint64_t key, const Promise& promise);
  // Without a promise under the key nothing happens.
  void ended(uint64_t key, uint64_t user, double runtime_s);

  Recipe recipe(size_t level) const;
  // Share of the last jobs that a recipe covered; 1 when there are none.
  double coverage(size_t level, Recipe recipe) const;
  size_t jobs() const { return window_.size(); }

 private:
  static constexpr size_t kRecipes = 2;
  // What the user's last jobs needed above (or, negative, below) the network's quantiles.
  struct User {
    std::deque<std::array<float, kCalibratedCount>> scores;
    uint64_t touched = 0;
  };
  struct InFlight {
    Promise promise;
    uint32_t count = 0;
    uint64_t number = 0;
  };
  void forget_oldest_user();

  std::unordered_map<uint64_t, User> users_;
  std::unordered_map<uint64_t, InFlight> in_flight_;
  std::deque<std::pair<uint64_t, uint64_t>> in_flight_order_;  // key and number
  std::deque<uint16_t> window_;  // bit level * kRecipes + recipe: covered
  std::array<uint32_t, kCalibratedCount * kRecipes> covered_{};
  uint64_t ended_ = 0, submitted_ = 0;
};

}  // namespace auspex
