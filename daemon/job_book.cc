// SPDX-License-Identifier: Apache-2.0
#include "daemon/job_book.h"

#include <xxhash.h>

#include <algorithm>

namespace auspex {
namespace {

// slurmctld notes the second itself, after the plugin was asked.
constexpr int64_t kEarliest_s = -2, kLatest_s = 2;

}  // namespace

uint64_t JobBook::key_of(const Submission& s) {
  uint64_t key = 0;
  for (const std::string* text : {&s.user, &s.name, &s.work_dir}) {
    key = XXH3_64bits_withSeed(text->data(), text->size(), key + 1);
  }
  return key;
}

void JobBook::decided(uint64_t key, const HistoryRequest& request) {
  waiting_[key].push_back(request);
  order_.emplace_back(key, request.submit_s);
  if (order_.size() <= kMostWaiting) return;
  const auto [oldest, submit_s] = order_.front();
  order_.pop_front();
  const auto entry = waiting_.find(oldest);
  if (entry == waiting_.end()) return;
  if (entry->second.front().submit_s <= submit_s) entry->second.pop_front();
  if (entry->second.empty()) waiting_.erase(entry);
}

std::optional<HistoryRequest> JobBook::found(const JobEvent& event) {
  const auto entry = waiting_.find(key_of(event.submission));
  if (entry == waiting_.end()) return std::nullopt;
  std::deque<HistoryRequest>& requests = entry->second;
  const int64_t submit_s = event.submission.submit_time_s;
  const auto match =
      std::find_if(requests.begin(), requests.end(), [submit_s](const HistoryRequest& r) {
        return r.submit_s >= submit_s + kEarliest_s && r.submit_s <= submit_s + kLatest_s;
      });
  if (match == requests.end()) return std::nullopt;
  const HistoryRequest request = *match;
  requests.erase(match);
  if (requests.empty()) waiting_.erase(entry);
  return request;
}

std::optional<HistoryEvent> JobBook::take(const JobEvent& event) {
  switch (event.kind) {
    case EventKind::kSubmitted:
      return submitted(event);
    case EventKind::kStarted:
      return started(event);
    case EventKind::kEnded:
      return ended(event);
  }
  return std::nullopt;
}

std::optional<HistoryEvent> JobBook::submitted(const JobEvent& event) {
  if (jobs_.count(event.job_id) != 0) return std::nullopt;
  if (jobs_.size() >= kMostJobs) jobs_.erase(jobs_.begin());
  HistoryEvent told = history_event_of(event);
  // A task of an array that leaves it: the decision counted as the array's own submission.
  const auto array = jobs_.find(event.array_id);
  if (event.array_id != 0 && array != jobs_.end()) {
    told.request = array->second.request;
    jobs_[event.job_id] = {.request = told.request};
    return told;
  }
  const auto decided = found(event);
  const bool known = decided || told.request.submit_s <= known_until_s_;
  if (decided) told.request = *decided;
  jobs_[event.job_id] = {.request = told.request};
  return known ? std::nullopt : std::optional(told);
}

std::optional<HistoryEvent> JobBook::started(const JobEvent& event) {
  HistoryEvent told = history_event_of(event);
  const auto entry = jobs_.find(event.job_id);
  if (entry == jobs_.end()) return std::nullopt;
  Job& job = entry->second;
  if (job.started) return std::nullopt;
  job.started = true;
  job.start_s = event.start_s;
  told.request = job.request;
  return event.start_s <= known_until_s_ ? std::nullopt : std::optional(told);
}

std::optional<HistoryEvent> JobBook::ended(const JobEvent& event) {
  HistoryEvent told = history_event_of(event);
  const auto entry = jobs_.find(event.job_id);
  if (entry != jobs_.end()) {
    told.request = entry->second.request;
    told.start_s = entry->second.start_s;
    jobs_.erase(entry);
    return told;
  }
  told.start_s = 0;
  if (const auto array = jobs_.find(event.array_id); event.array_id != 0 && array != jobs_.end()) {
    told.request = array->second.request;
  } else if (const auto decided = found(event)) {
    told.request = *decided;
  }
  return event.end_s <= known_until_s_ ? std::nullopt : std::optional(told);
}

}  // namespace auspex
