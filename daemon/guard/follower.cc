// SPDX-License-Identifier: Apache-2.0
#include "daemon/guard/follower.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace auspex {
namespace {

Ending ending_of(const JobState& job) {
  if (job.outcome == Outcome::kCompleted) return Ending::kDone;
  return job.outcome == Outcome::kTimeout ? Ending::kAtLimit : Ending::kFailed;
}

int64_t time_of(const JobEvent& event) {
  switch (event.kind) {
    case EventKind::kSubmitted:
      return event.submission.submit_time_s;
    case EventKind::kStarted:
      return event.start_s;
    case EventKind::kEnded:
      return event.end_s;
  }
  return 0;
}

JobEvent event_of(EventKind kind, const JobState& job, Submission submission) {
  // The record shows the limit that was applied.
  if (job.audit) {
    submission.time_limit_min = job.audit->asked_min;
  }
  JobEvent event{.kind = kind, .submission = std::move(submission)};
  event.job_id = job.id;
  event.array_id = job.array_id == job.id ? 0 : job.array_id;
  if (kind != EventKind::kSubmitted) event.start_s = job.start_s;
  if (kind == EventKind::kEnded) {
    event.end_s = job.end_s;
    event.runtime_s = job.runtime_s;
    event.ending = ending_of(job);
  }
  return event;
}

}  // namespace

void Follower::see(const JobState& job, const std::function<Submission()>& submission) {
  const auto [entry, is_new] = jobs_.try_emplace(job.id);
  Known& known = entry->second;
  known.sweep = sweep_;
  const bool again = known.ended && job.phase != JobPhase::kEnded;  // requeued after its end
  if (again) known = {.sweep = sweep_};
  if (known.ended) return;
  if (job.phase == JobPhase::kEnded) {
    known.ended = true;
    events_.push_back(event_of(EventKind::kEnded, job, submission()));
    return;
  }
  if (is_new || again) events_.push_back(event_of(EventKind::kSubmitted, job, submission()));
  // One that is requeued starts again, and keeps its first start here.
  if (job.phase != JobPhase::kPending && !std::exchange(known.started, true)) {
    events_.push_back(event_of(EventKind::kStarted, job, submission()));
  }
}

std::vector<JobEvent> Follower::end_sweep() {
  std::erase_if(jobs_, [this](const auto& job) { return job.second.sweep != sweep_; });
  ++sweep_;
  std::stable_sort(events_.begin(), events_.end(), [](const JobEvent& a, const JobEvent& b) {
    return std::tuple(time_of(a), a.job_id, a.kind) < std::tuple(time_of(b), b.job_id, b.kind);
  });
  return std::exchange(events_, {});
}

}  // namespace auspex
