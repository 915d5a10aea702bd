// SPDX-License-Identifier: Apache-2.0
// Play: a history in the order of time, stopping where a prediction could be made.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <queue>
#include <span>
#include <utility>
#include <vector>

#include "shared/history/timeline.h"
#include "shared/result.h"

namespace auspex {

enum class Moment : uint8_t { kSubmit, kStart };

// Calls visit(Moment, index of the job, time, history, promised) -> Status for each job submitted
// before `until_s`, at its submission and, if it waited, at its start; the history holds what had
// happened before that moment, and at the end what happened before `until_s`. promised: what the
// visitor promises the job at its submission, see JobHistory::submitted(). jobs: by submit time.
// Errors: the visitor's, which ends the play.
template <typename Visit>
Status play(std::span<const HistoryJob> jobs, int64_t until_s, JobHistory& history,
            const Visit& visit) {
  using Start = std::pair<int64_t, uint32_t>;  // time, index
  std::priority_queue<Start, std::vector<Start>, std::greater<>> starts;
  Timeline timeline(history);
  std::optional<CalibratedLogs> promised;
  const auto play_starts = [&](int64_t time_s) -> Status {
    while (!starts.empty() && starts.top().first < time_s) {
      const auto [start_s, index] = starts.top();
      starts.pop();
      timeline.advance(start_s);
      if (Status ok = visit(Moment::kStart, index, start_s, history, promised); !ok) return ok;
    }
    return Done{};
  };
  for (uint32_t index = 0; index < jobs.size(); ++index) {
    const HistoryJob& job = jobs[index];
    const int64_t now_s = job.request.submit_s;
    if (now_s >= until_s) break;
    if (Status ok = play_starts(now_s); !ok) return ok;
    timeline.advance(now_s);
    promised.reset();
    if (Status ok = visit(Moment::kSubmit, index, now_s, history, promised); !ok) return ok;
    timeline.submit(job, promised);
    if (job.start_s > now_s) starts.emplace(job.start_s, index);
  }
  if (Status ok = play_starts(until_s); !ok) return ok;
  timeline.advance(until_s);
  return Done{};
}

}  // namespace auspex
