// SPDX-License-Identifier: Apache-2.0
// Progress: one line on a terminal's stderr with share, rate and time left, from two seconds on.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace auspex {

class Progress {
 public:
  // total: 0 when nobody knows. visible: false keeps it silent, as does a stderr that is no
  // terminal.
  Progress(std::string what, uint64_t total, bool visible = true);
  ~Progress();  // wipes the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance();

  // For work whose share done is known, but not how many steps it has. share: 0 when nobody knows.
  void show(uint64_t done, double share);

 private:
  using Clock = std::chrono::steady_clock;
  void draw_if_due();
  void draw(double elapsed_s);

  std::string what_;
  uint64_t total_ = 0;
  uint64_t done_ = 0;
  double share_ = 0;
  bool visible_ = false;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = start_ + std::chrono::seconds(2);
};

}  // namespace auspex
