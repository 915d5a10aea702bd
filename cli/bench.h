// SPDX-License-Identifier: Apache-2.0
// What auspex bench measures: contestants that take turns, and the rows that come of it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shared/call_times.h"
#include "shared/result.h"

namespace auspex::cli {

// The texts of a row that say what was measured.
struct BenchLabel {
  std::string technique, backend, precision;
  std::string sparsity = "none";  // none | rows | 2:4
  std::string input = "gather";   // gather | dense
};

struct BenchRow {
  BenchLabel label;
  std::string hidden;  // "512-256-128"
  uint32_t batch = 1;
  bool cold = false;
  uint64_t trials = 0;
  double median_us = 0, p99_us = 0;
  // What one sample reads of the model, and what only reading as much takes; 0: not measured.
  uint64_t bytes = 0;
  double floor_us = 0;
};

class Contestant {
 public:
  explicit Contestant(BenchLabel label, uint64_t bytes = 0)
      : label_(std::move(label)), bytes_(bytes) {}
  virtual ~Contestant() = default;
  const BenchLabel& label() const { return label_; }
  uint64_t bytes() const { return bytes_; }  // of a single sample; 0: nobody knows
  virtual bool takes(uint32_t batch) const { return batch > 0; }
  // Microseconds of each call. Errors: why it takes no further part; empty: that was said before.
  virtual Result<std::vector<double>> run(const CallRound& round) = 0;

 private:
  BenchLabel label_;
  uint64_t bytes_;
};
using Contestants = std::vector<std::unique_ptr<Contestant>>;

struct BenchPace {
  uint64_t trials = 1000;  // of a row
  double row_s = 0.3;      // of a row, after which its trials are cut short
  double longest_s = 2;    // a call that will take longer is not begun
  std::vector<uint32_t> batches;
  std::vector<uint32_t> cold_batches;
};

// All contestants in turn, several rounds of each batch, so that a machine's mood hits all alike.
// step: after each turn, with the share done. remark: why somebody is left out.
std::vector<BenchRow> take_turns(Contestants& contestants, const std::string& hidden,
                                 const BenchPace& pace,
                                 const std::function<void(double share)>& step,
                                 const std::function<void(const std::string&)>& remark);

}  // namespace auspex::cli
