// SPDX-License-Identifier: Apache-2.0
// Examples: submissions as the pointer network saw them, with what became of them. Compact, so that
// some hundred thousand of them stay in memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "learn/vocabulary.h"
#include "shared/history/past.h"
#include "shared/history/view.h"

namespace auspex {

// Source: sacct of Slurm counts a job that was killed at its limit up to a minute over or under.
inline constexpr double kAtLimitShare = 0.97;

class Examples {
 public:
  // vocabulary: must outlive this.
  explicit Examples(const Vocabulary& vocabulary);

  // Puts a job at a place up to size(): one more, or instead of another one. How it ended comes
  // with end().
  void put(size_t place, const HistoryRequest& request, const HistoryView& view);
  void end(size_t place, double runtime_s);
  void add(const HistoryJob& job, const HistoryView& view) {
    put(size(), job.request, view);
    end(size() - 1, job.runtime_s);
  }

  size_t size() const { return log_runtime.size(); }
  size_t fields() const { return fields_; }

  // Shapes: [size()][...], row-major.
  std::vector<int32_t> rows;       // [fields]: one row of the first layer per field
  std::vector<float> numbers;      // [kNumberCount + kHistoryNumbers]
  std::vector<float> log_s;        // [kItems], NaN where there is no item
  std::vector<uint16_t> items;     // [kItems][kItemInputs], IEEE half precision
  std::vector<float> log_limit;    // natural log of seconds
  std::vector<float> log_runtime;  // the same
  std::vector<uint8_t> censored;   // 1: ended at its limit, so it would have run at least that long

 private:
  const Vocabulary* vocabulary_;
  size_t fields_;
};

// Jobs submitted from first_s on that ended before until_s, each as it was at its submission and,
// if it waited, at its start. jobs: by submit time. vocabulary: must outlive the result.
Examples examples_of(const std::vector<HistoryJob>& jobs, const Vocabulary& vocabulary,
                     int64_t first_s, int64_t until_s);

}  // namespace auspex
