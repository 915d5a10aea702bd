// SPDX-License-Identifier: Apache-2.0
#include "shared/history/timeline.h"

namespace auspex {

void Timeline::advance(int64_t time_s) {
  while (!events_.empty() && events_.top().time_s < time_s) {
    const Event event = events_.top();
    events_.pop();
    const HistoryJob& job = jobs_[event.job];
    if (event.sequence % 2 == 0) {
      history_.started(job.request, job.start_s);
      events_.push({job.end_s, event.sequence + 1, event.job});
    } else {
      history_.ended(job.request, job.start_s, job.end_s, job.runtime_s, job.ending);
      free_.push_back(event.job);
    }
  }
}

void Timeline::submit(const HistoryJob& job) {
  history_.submitted(job.request);
  uint32_t index = 0;
  if (free_.empty()) {
    index = static_cast<uint32_t>(jobs_.size());
    jobs_.push_back(job);
  } else {
    index = free_.back();
    free_.pop_back();
    jobs_[index] = job;
  }
  const uint64_t sequence = 2 * submissions_++;
  // A start at or after the end never showed: accounting writes one for jobs cancelled in the
  // queue, and a start that is told after its end would run for ever.
  if (job.start_s != 0 && job.start_s < job.end_s) {
    events_.push({job.start_s, sequence, index});
  } else {
    jobs_[index].start_s = 0;
    events_.push({job.end_s, sequence + 1, index});
  }
}

}  // namespace auspex
