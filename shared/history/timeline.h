// SPDX-License-Identifier: Apache-2.0
// Timeline: plays the jobs of a file, in the order of submission, into a history: starts and ends
// come in their own time, as they do to a daemon. Keeps only the jobs that have not ended.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "shared/history/history.h"
#include "shared/history/job_clock.h"
#include "shared/history/past.h"

namespace auspex {

class Timeline {
 public:
  explicit Timeline(JobHistory& history) : history_(history) {}

  // Everything that happened before `time_s` happens.
  void advance(int64_t time_s);

  // After advance(job.request.submit_s) and whatever view the caller takes: the job is submitted.
  // promised: as for JobHistory::submitted().
  void submit(const HistoryJob& job, const std::optional<CalibratedLogs>& promised = std::nullopt);

 private:
  JobHistory& history_;
  JobClock clock_;
  std::vector<HistoryJob> jobs_;  // by their places
};

// When the job was seen to start; 0 = never: accounting writes a start at or after the end for jobs
// cancelled in the queue, and a start that is told after its end would run for ever.
inline int64_t start_told_s(int64_t start_s, int64_t end_s) {
  return start_s < end_s ? start_s : 0;
}

}  // namespace auspex
