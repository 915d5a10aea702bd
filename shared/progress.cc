// SPDX-License-Identifier: Apache-2.0
#include "shared/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace auspex {

Progress::Progress(std::string what, uint64_t total, bool visible)
    : what_(std::move(what)), total_(total), visible_(visible && isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (drawn_) std::fputs("\r\033[K", stderr);
}

void Progress::advance() {
  ++done_;
  // A look at the clock costs more than the rest: not for every row.
  if (!visible_ || done_ % 64 != 0) return;
  if (total_ > 0) share_ = static_cast<double>(done_) / static_cast<double>(total_);
  draw_if_due();
}

void Progress::show(uint64_t done, double share) {
  done_ = done;
  share_ = share;
  if (visible_) draw_if_due();
}

void Progress::draw_if_due() {
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(200);
  draw(std::chrono::duration<double>(now - start_).count());
}

void Progress::draw(double elapsed_s) {
  drawn_ = true;
  const double rate = static_cast<double>(done_) / elapsed_s;
  if (share_ <= 0) {
    std::fprintf(stderr, "\r\033[K%s  %llu  %.0f/s", what_.c_str(),
                 static_cast<unsigned long long>(done_), rate);
    return;
  }
  constexpr size_t kWidth = 30;
  const double share = std::min(1.0, share_);
  const auto filled = static_cast<size_t>(share * kWidth);
  const double left_s = elapsed_s * (1 - share) / share;
  std::fprintf(stderr, "\r\033[K%s  [%s%s] %3.0f %%  %.0f/s  %.0f s left", what_.c_str(),
               std::string(filled, '#').c_str(), std::string(kWidth - filled, '.').c_str(),
               100 * share, rate, left_s);
}

}  // namespace auspex
