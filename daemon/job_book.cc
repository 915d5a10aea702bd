// SPDX-License-Identifier: Apache-2.0
#include "daemon/job_book.h"

#include <xxhash.h>

#include <algorithm>

namespace auspex {
namespace {

// slurmctld notes the second itself, after the plugin was asked.
constexpr int64_t kEarliest_s = -2, kLatest_s = 2;

uint64_t key_of(const Submission& s) {
  uint64_t key = 0;
  for (const std::string* text : {&s.user, &s.name, &s.work_dir}) {
    key = XXH3_64bits_withSeed(text->data(), text->size(), key + 1);
  }
  return key;
}

}  // namespace

void JobBook::decided(const Submission& submission, const Decided& decided) {
  const uint64_t key = key_of(submission);
  waiting_[key].push_back(decided);
  order_.emplace_back(key, decided.request.submit_s);
  if (order_.size() <= kMostWaiting) return;
  const auto [oldest, submit_s] = order_.front();
  order_.pop_front();
  const auto entry = waiting_.find(oldest);
  if (entry == waiting_.end()) return;
  if (entry->second.front().request.submit_s <= submit_s) entry->second.pop_front();
  if (entry->second.empty()) waiting_.erase(entry);
}

std::optional<JobBook::Decided> JobBook::found(const JobEvent& event) {
  const auto entry = waiting_.find(key_of(event.submission));
  if (entry == waiting_.end()) return std::nullopt;
  std::deque<Decided>& all = entry->second;
  const int64_t submit_s = event.submission.submit_time_s;
  // The event tells the limit that was asked for. Of a submission that Slurm refused nothing comes.
  const auto& asked_min = event.submission.time_limit_min;
  const auto match = std::find_if(all.begin(), all.end(), [&](const Decided& decided) {
    const int64_t apart_s = decided.request.submit_s - submit_s;
    const bool same_limit = !decided.asked_min || decided.asked_min == asked_min;
    return same_limit && apart_s >= kEarliest_s && apart_s <= kLatest_s;
  });
  if (match == all.end()) return std::nullopt;
  const Decided decided = *match;
  all.erase(match);
  if (all.empty()) waiting_.erase(entry);
  return decided;
}

const JobBook::Decided* JobBook::find(uint32_t job_id) const {
  const auto entry = jobs_.find(job_id);
  return entry == jobs_.end() ? nullptr : &entry->second.decided;
}

JobBook::Taken JobBook::take(const JobEvent& event) {
  switch (event.kind) {
    case EventKind::kSubmitted:
      return submitted(event);
    case EventKind::kStarted:
      return started(event);
    case EventKind::kEnded:
      return ended(event);
  }
  return {};
}

JobBook::Taken JobBook::submitted(const JobEvent& event) {
  const int64_t submit_s = event.submission.submit_time_s;
  if (const auto known = jobs_.find(event.job_id); known != jobs_.end()) {
    if (known->second.submit_s == submit_s) return {.decision = known->second.decided.number};
    jobs_.erase(known);  // the id went to another job
  }
  if (jobs_.size() >= kMostJobs) jobs_.erase(jobs_.begin());
  HistoryEvent told = history_event_of(event);
  // A task of an array that leaves it: the decision counted as the array's own submission.
  const auto array = jobs_.find(event.array_id);
  if (event.array_id != 0 && array != jobs_.end()) {
    told.request = array->second.decided.request;
    jobs_[event.job_id] = {.decided = {told.request}, .submit_s = submit_s};
    return {.news = told};
  }
  const auto decided = found(event);
  const bool known = decided || told.request.submit_s <= known_until_s_;
  jobs_[event.job_id] = {.decided = decided.value_or(Decided{told.request}), .submit_s = submit_s};
  return {.news = known ? std::nullopt : std::optional(told),
          .decision = decided ? decided->number : 0};
}

JobBook::Taken JobBook::started(const JobEvent& event) {
  HistoryEvent told = history_event_of(event);
  const auto entry = jobs_.find(event.job_id);
  if (entry == jobs_.end()) return {};
  Job& job = entry->second;
  const Taken nothing = {.decision = job.decided.number};
  if (job.started) return nothing;
  job.started = true;
  job.start_s = event.start_s;
  told.request = job.decided.request;
  return event.start_s <= known_until_s_ ? nothing : Taken{told, job.decided.number};
}

JobBook::Taken JobBook::ended(const JobEvent& event) {
  HistoryEvent told = history_event_of(event);
  const auto entry = jobs_.find(event.job_id);
  if (entry != jobs_.end()) {
    const Job job = entry->second;
    jobs_.erase(entry);
    told.request = job.decided.request;
    told.start_s = job.start_s;
    return {told, job.decided.number};
  }
  told.start_s = 0;
  DecisionNumber number = 0;
  bool waited = false;  // then nobody can have told of it
  if (const auto array = jobs_.find(event.array_id); event.array_id != 0 && array != jobs_.end()) {
    told.request = array->second.decided.request;
  } else if (const auto decided = found(event)) {
    told.request = decided->request;
    number = decided->number;
    waited = true;
  }
  return {!waited && event.end_s <= known_until_s_ ? std::nullopt : std::optional(told), number};
}

}  // namespace auspex
