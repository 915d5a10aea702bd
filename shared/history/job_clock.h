// SPDX-License-Identifier: Apache-2.0
// JobClock: in which order the jobs of a past start and end, between their submissions. It knows
// the jobs by the places that it gives them; a place is free again when its job has ended.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <queue>
#include <vector>

namespace auspex {

class JobClock {
 public:
  struct Next {
    uint32_t place = 0;
    bool is_end = false;
  };

  // The earliest start or end before `time_s` that next() has not given yet.
  std::optional<Next> next(int64_t time_s);

  // The place of a job that is submitted now, for its whole life. Places are small numbers.
  // start_s: 0 = unknown, and the job only ends.
  uint32_t submit(int64_t start_s, int64_t end_s);

 private:
  struct Event {
    int64_t time_s;
    uint64_t sequence;  // twice the number of the submission, and 1 for an end
    uint32_t place;
    bool operator>(const Event& other) const {
      return time_s != other.time_s ? time_s > other.time_s : sequence > other.sequence;
    }
  };

  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<int64_t> end_s_;  // by place
  std::vector<uint32_t> free_;  // places
  uint64_t submissions_ = 0;
};

}  // namespace auspex
