// SPDX-License-Identifier: Apache-2.0
#include "shared/history/timeline.h"

#include <algorithm>

namespace auspex {

void Timeline::advance(int64_t time_s) {
  while (const auto next = clock_.next(time_s)) {
    const HistoryJob& job = jobs_[next->place];
    if (next->is_end) {
      history_.ended(job.request, job.start_s, job.end_s, job.runtime_s, job.ending);
    } else {
      history_.started(job.request, job.start_s);
    }
  }
}

void Timeline::submit(const HistoryJob& job, const std::optional<CalibratedLogs>& promised) {
  history_.submitted(job.request, promised);
  const int64_t start_s = start_told_s(job.start_s, job.end_s);
  const uint32_t place = clock_.submit(start_s, job.end_s);
  jobs_.resize(std::max<size_t>(jobs_.size(), place + 1));
  jobs_[place] = job;
  jobs_[place].start_s = start_s;
}

}  // namespace auspex
