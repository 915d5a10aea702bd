// SPDX-License-Identifier: Apache-2.0
// Calibration: keeps the upper quantiles to what they promise, from jobs that ended lately.
//
// Two recipes per level: the quantile as the network gives it, and the cautious one: moved up by
// the user's own offset, and the user's limit where signature or user are new. The first is applied
// while it clearly covers what it should among the last jobs.
// Source: conformal prediction (Vovk, Gammerman, Shafer 2005) with the worst of the user's last
// scores as its offset: jobs come in bursts, and a burst is not one of many.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "shared/prediction.h"
#include "shared/result.h"

namespace auspex {

enum class Recipe : uint8_t { kRaw, kCautious };
std::string_view recipe_name(Recipe recipe);  // "raw", "cautious"

// The calibrated levels of a prediction.
CalibratedLogs calibrated_logs(const Prediction& prediction);

// What a job was promised at its submission. Natural logs of seconds.
struct Promise {
  CalibratedLogs log_quantile{};  // the network's
  CalibratedLogs log_offset{};    // the user's
  float log_asked = 0;            // the user's limit; infinity without one
  double asked_s = 0;             // the same, exactly
  bool is_new = false;  // the signature or the user has too few jobs: the user's limit stays

  float log_limit(size_t level, Recipe recipe) const;
};

// A calibration as files hold it.
struct CalibrationState {
  struct User {
    uint64_t key = 0;
    std::vector<CalibratedLogs> scores;  // oldest first
  };
  std::vector<User> users;       // the one whose last job ended longest ago first
  std::vector<uint16_t> window;  // oldest first
};

class Calibration {
 public:
  static constexpr size_t kWindow = 3000;         // jobs that say which recipe holds
  static constexpr size_t kLeast = 300;           // fewer say nothing
  static constexpr size_t kUserScores = 60;       // of a user's last jobs
  static constexpr uint32_t kLeastJobs = 3;       // of a signature, or it is new
  static constexpr size_t kMostUsers = 1U << 14;  // at the most

  // most_users: the one whose last job ended longest ago makes room.
  explicit Calibration(size_t most_users = kMostUsers)
      : most_users_(std::clamp<size_t>(most_users, 1, kMostUsers)) {}

  // raw: the network's. user: their HistoryKey::kUser. signature_jobs: how many of the signature
  // had ended. asked_s: infinity without a limit.
  Promise promise(const CalibratedLogs& raw, uint64_t user, uint32_t signature_jobs,
                  double asked_s) const;

  // Replaces the calibrated levels by what the recipes in use give; quantiles stay ascending.
  void apply(const Promise& promise, Prediction& prediction) const;

  // A job that had this promise ended; at_limit: by a time limit. One that was shorter than the
  // user's proves no quantile.
  void ended(const Promise& promise, uint64_t user, double runtime_s, bool at_limit = false);

  Recipe recipe(size_t level) const;
  // Share of the last jobs that a recipe covered; 1 when there are none.
  double coverage(size_t level, Recipe recipe) const;
  size_t jobs() const { return window_.size(); }

  CalibrationState state() const;
  // Errors: more than is ever kept, a user twice, what cannot be a score.
  static Result<Calibration> of(const CalibrationState& state, size_t most_users = kMostUsers);
  // The same with room for other users.
  Calibration resized(size_t most_users) const { return *of(state(), most_users); }
  static size_t bytes_at_most(size_t most_users);

 private:
  static constexpr size_t kRecipes = 2;
  // What the user's last jobs needed above (or, negative, below) the network's quantiles.
  struct User {
    std::array<CalibratedLogs, kUserScores> scores{};  // a ring
    uint32_t count = 0;                                // kept
    uint32_t next = 0;
    uint64_t touched = 0;

    void add(const CalibratedLogs& score);
  };
  User& user_at(uint64_t key);
  void add_to_window(uint16_t bits);

  size_t most_users_;
  std::unordered_map<uint64_t, User> users_;
  std::map<uint64_t, uint64_t> order_;  // User::touched to the user's key
  std::deque<uint16_t> window_;         // bit level * kRecipes + recipe: covered
  std::array<uint32_t, kCalibratedCount * kRecipes> covered_{};
  uint64_t ended_ = 0;
};

}  // namespace auspex
