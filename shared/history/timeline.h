// SPDX-License-Identifier: Apache-2.0
// Timeline: plays the jobs of a file, in the order of submission, into a history: starts and ends
// come in their own time, as they do to a daemon. Keeps only the jobs that have not ended.
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

#include "shared/history/history.h"
#include "shared/history/past.h"

namespace auspex {

class Timeline {
 public:
  explicit Timeline(JobHistory& history) : history_(history) {}

  // Everything that happened before `time_s` happens.
  void advance(int64_t time_s);

  // After advance(job.request.submit_s) and whatever view the caller takes: the job is submitted.
  void submit(const HistoryJob& job);

 private:
  // What a job does next: it starts or it ends.
  struct Event {
    int64_t time_s;
    uint64_t sequence;  // twice the number of the submission, and 1 for an end
    uint32_t job;       // index of jobs_
    bool operator>(const Event& other) const {
      return time_s != other.time_s ? time_s > other.time_s : sequence > other.sequence;
    }
  };

  JobHistory& history_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<HistoryJob> jobs_;  // in flight, and free places
  std::vector<uint32_t> free_;    // indices of jobs_
  uint64_t submissions_ = 0;
};

}  // namespace auspex
