// SPDX-License-Identifier: Apache-2.0
#include "learn/progress_line.h"

#include <unistd.h>

#include <cstdio>
#include <string>

namespace auspex {

ProgressLine::ProgressLine(uint32_t max_epochs)
    : max_epochs_(max_epochs), terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressLine::show(const TrainProgress& progress) {
  if (progress.best) validation_loss_ = progress.validation_loss;
  if (terminal_) {
    const Clock::time_point now = Clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::milliseconds(200);
    draw(progress, now);
  } else if (progress.epoch_ended) {
    std::fprintf(stderr, "epoch %u: loss %.4f, validation %.4f%s\n", progress.epoch,
                 progress.train_loss, progress.validation_loss, progress.best ? ", best" : "");
  }
}

void ProgressLine::draw(const TrainProgress& progress, Clock::time_point now) {
  constexpr size_t kWidth = 30;
  const double share = static_cast<double>(progress.jobs_done) / static_cast<double>(progress.jobs);
  const double epochs_done = progress.epoch - 1 + share;
  const double elapsed_s = std::chrono::duration<double>(now - start_).count();
  const double rate = epochs_done * static_cast<double>(progress.jobs) / elapsed_s;
  const double left_s = elapsed_s / epochs_done * (max_epochs_ - epochs_done);
  const auto filled = static_cast<size_t>(share * kWidth);
  std::string validation = "-";
  if (validation_loss_ > 0) validation = std::to_string(validation_loss_);
  std::fprintf(stderr, "\r\033[Kepoch %u/%u [%s%s] %.0f jobs/s  at most %.0f s left  validation %s",
               progress.epoch, max_epochs_, std::string(filled, '#').c_str(),
               std::string(kWidth - filled, '.').c_str(), rate, left_s, validation.c_str());
}

void ProgressLine::clear() {
  if (terminal_) std::fputs("\r\033[K", stderr);
}

}  // namespace auspex
