// SPDX-License-Identifier: Apache-2.0
// ProgressLine: how far a long command is, on stderr: on a terminal a bar with rate and time left,
// nothing elsewhere.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace auspex {

class ProgressLine {
 public:
  explicit ProgressLine(std::string what);
  ~ProgressLine() { clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // share: of everything, in [0, 1]. done: things done, for the rate. note: behind the rest.
  void show(double share, double done, std::string_view things, const std::string& note = "");
  void clear();  // takes the bar away

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = start_ + std::chrono::seconds(2);  // shorter work needs no bar
};

}  // namespace auspex
