// SPDX-License-Identifier: Apache-2.0
// A figure of an evaluation: how close, how well covered, how honest about its confidence.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace auspex {

// A job of an evaluation. Times that are not finite and positive, and accuracies and confidences
// outside [0, 1], are left out of the panels that need them.
struct ScoredJob {
  double predicted_s = 0, actual_s = 0, limit_s = 0;
  double accuracy = 0,
         confidence = 0;  // min/max of prediction and runtime; what was expected of it
  bool covered_p90 = false, covered_p95 = false, covered_p99 = false;
};

// An SVG file in UTF-8 with three panels: predicted against actual runtime, coverage over time,
// accuracy by confidence. Below 200 KB whatever the number of jobs.
// jobs: in order of time. title: plain text, shortened where it is too long.
std::string evaluation_figure(std::span<const ScoredJob> jobs, std::string_view title);

}  // namespace auspex
