// SPDX-License-Identifier: Apache-2.0
// Prediction: one distribution of the runtime of one submission.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>

namespace auspex {

// The levels at which the network is trained (pinball loss). Ascending.
inline constexpr std::array<double, 9> kQuantileLevels = {.05, .10, .25, .50, .75,
                                                          .80, .90, .95, .99};
inline constexpr size_t kQuantileCount = kQuantileLevels.size();
// Network outputs: the quantiles of log(runtime in s), then the accuracy point.
inline constexpr size_t kOutputCount = kQuantileCount + 1;

// The upper levels, which calibration keeps to what they promise.
inline constexpr std::array<double, 3> kCalibratedLevels = {.90, .95, .99};
inline constexpr size_t kCalibratedCount = kCalibratedLevels.size();
using CalibratedLogs = std::array<float, kCalibratedCount>;  // natural logs of seconds

struct Prediction {
  std::array<double, kQuantileCount> quantiles_s{};  // ascending, seconds
  double accuracy_point_s = 0;       // maximises the expected min/max of prediction and runtime
  std::optional<double> mean_s;      // only from a network that gives a whole distribution
  std::optional<double> confidence;  // expected min/max of accuracy point and runtime, 0 to 1
  std::optional<CalibratedLogs> raw_log_s;  // the network's own, once calibration has its say
  std::string model;                        // short id of the model file
  std::string backend;                      // the kernel that ran: "reference", "fp32-avx2", ...
  double latency_us = 0;                    // history, encoding and network

  // Linear in log(runtime) between the trained levels; the outermost level beyond them.
  double quantile_s(double level) const;
};

// Network outputs (kOutputCount values, natural log of seconds) to a prediction: crossing
// quantiles are sorted, everything is clipped to [1 s, limit].
// limit_s: the user's own limit; infinity when there is none.
Prediction prediction_from_outputs(const float* outputs, double limit_s);

}  // namespace auspex
