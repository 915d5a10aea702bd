// SPDX-License-Identifier: Apache-2.0
// Follower: what happened to jobs between two sweeps, as events for the daemon's history.
#pragma once

#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "daemon/guard/job_state.h"
#include "shared/job_event.h"

namespace auspex {

class Follower {
 public:
  // Of one sweep. submission: the job's, as its record shows it; asked for when there is something
  // to tell.
  void see(const JobState& job, const std::function<Submission()>& submission);

  // What has happened since the sweep before, in the order of time. Jobs that slurmctld has
  // forgotten are forgotten here.
  std::vector<JobEvent> end_sweep();

  // What was told has not arrived: all of it is told anew.
  void forget_all() { jobs_.clear(); }

 private:
  struct Known {
    uint64_t sweep = 0;  // when it was seen last
    bool started = false, ended = false;
  };

  std::unordered_map<uint32_t, Known> jobs_;
  std::vector<JobEvent> events_;
  uint64_t sweep_ = 1;
};

}  // namespace auspex
