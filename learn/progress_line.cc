// SPDX-License-Identifier: Apache-2.0
#include "learn/progress_line.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace auspex {

ProgressLine::ProgressLine(std::string what)
    : what_(std::move(what)), terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressLine::show(double share, double done, std::string_view things,
                        const std::string& note) {
  constexpr size_t kWidth = 30;
  const Clock::time_point now = Clock::now();
  if (!terminal_ || now < next_) return;
  next_ = now + std::chrono::milliseconds(200);
  drawn_ = true;
  share = std::clamp(share, 1e-6, 1.0);
  const double elapsed_s = std::chrono::duration<double>(now - start_).count();
  const auto filled = static_cast<size_t>(share * kWidth);
  std::fprintf(stderr, "\r\033[K%s [%s%s] %.0f %.*s/s  %.0f s left%s%s", what_.c_str(),
               std::string(filled, '#').c_str(), std::string(kWidth - filled, '.').c_str(),
               done / elapsed_s, static_cast<int>(things.size()), things.data(),
               elapsed_s / share * (1 - share), note.empty() ? "" : "  ", note.c_str());
}

void ProgressLine::clear() {
  if (drawn_) std::fputs("\r\033[K", stderr);
  drawn_ = false;
}

}  // namespace auspex
