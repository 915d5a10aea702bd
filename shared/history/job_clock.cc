// SPDX-License-Identifier: Apache-2.0
#include "shared/history/job_clock.h"

namespace auspex {

std::optional<JobClock::Next> JobClock::next(int64_t time_s) {
  if (events_.empty() || events_.top().time_s >= time_s) return std::nullopt;
  const Event event = events_.top();
  events_.pop();
  const bool is_end = event.sequence % 2 == 1;
  if (is_end) {
    free_.push_back(event.place);
  } else {
    events_.push({end_s_[event.place], event.sequence + 1, event.place});
  }
  return Next{event.place, is_end};
}

uint32_t JobClock::submit(int64_t start_s, int64_t end_s) {
  if (free_.empty()) {
    free_.push_back(static_cast<uint32_t>(end_s_.size()));
    end_s_.push_back(0);
  }
  const uint32_t place = free_.back();
  free_.pop_back();
  end_s_[place] = end_s;
  const uint64_t sequence = 2 * submissions_++;
  if (start_s != 0) {
    events_.push({start_s, sequence, place});
  } else {
    events_.push({end_s, sequence + 1, place});
  }
  return place;
}

}  // namespace auspex
