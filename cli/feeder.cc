// SPDX-License-Identifier: Apache-2.0
#include "cli/feeder.h"

#include <grp.h>
#include <pwd.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "shared/history/timeline.h"

namespace auspex::cli {

// Online a submission names its owner by number; a file may do it by name.
std::string Feeder::number_of(const std::string& name, bool group) {
  if (name.find_first_not_of("0123456789") == std::string::npos) return name;
  auto& known = group ? groups_ : users_;
  const auto [entry, fresh] = known.try_emplace(name);
  if (fresh) {
    if (group) {
      if (const struct group* found = ::getgrnam(name.c_str())) {
        entry->second = std::to_string(found->gr_gid);
      }
    } else if (const passwd* found = ::getpwnam(name.c_str())) {
      entry->second = std::to_string(found->pw_uid);
    }
    unknown_ += entry->second.empty() ? 1 : 0;
  }
  return entry->second;
}

Submission Feeder::as_online(const JobRecord& job) {
  Submission submission = job.submission;
  submission.user = number_of(submission.user, /*group=*/false);
  submission.group = number_of(submission.group, /*group=*/true);
  ipc::cut_to_wire(submission);
  return submission;
}

Status Feeder::tell_of(const JobEvent& job, EventKind kind) {
  if (!tell_) return Done{};
  JobEvent event = job;
  event.kind = kind;
  return sender_.add(std::move(event));
}

Status Feeder::advance(int64_t time_s) {
  while (const auto next = clock_.next(time_s)) {
    const EventKind kind = next->is_end ? EventKind::kEnded : EventKind::kStarted;
    if (Status told = tell_of(jobs_[next->place], kind); !told) return told;
  }
  return Done{};
}

void Feeder::begin(const JobRecord& job, Submission submission) {
  const HistoryJob known = history_job_of(job);
  JobEvent event;
  event.submission = std::move(submission);
  event.start_s = start_told_s(job.start_s, job.end_s);
  event.end_s = job.end_s;
  event.runtime_s = std::max(job.runtime_s, 0.0);
  event.ending = known.ending;
  const uint32_t place = clock_.submit(event.start_s, event.end_s);
  jobs_.resize(std::max<size_t>(jobs_.size(), place + 1));
  jobs_[place] = std::move(event);
}

Status Feeder::submit(JobRecord&& job) {
  if (Status before = advance(job.submission.submit_time_s); !before) return before;
  JobEvent submitted;
  submitted.submission = as_online(job);
  if (Status told = tell_of(submitted, EventKind::kSubmitted); !told) return told;
  begin(job, std::move(submitted.submission));
  return Done{};
}

Result<Edits> Feeder::decide(const JobRecord& job) {
  if (Status before = advance(job.submission.submit_time_s); !before) return before.error();
  if (Status told = flush(); !told) return told.error();
  Submission submission = as_online(job);
  auto outcome = client_.call(ipc::DecideRequest{submission, {}, 0}, ipc::Clock::now() + kTimeout);
  if (const auto* failure = std::get_if<ipc::Failure>(&outcome)) {
    return Error{describe(*failure, client_.socket_path())};
  }
  const auto& reply = std::get<ipc::Reply>(outcome);
  if (const auto* refusal = std::get_if<ipc::ErrorReply>(&reply)) return Error{refusal->reason};
  const auto* decided = std::get_if<ipc::DecideReply>(&reply);
  if (decided == nullptr) {
    return Error{"the daemon at " + client_.socket_path() + " answered something else"};
  }
  begin(job, std::move(submission));
  return decided->edits;
}

Status Feeder::finish() {
  if (Status rest = advance(std::numeric_limits<int64_t>::max()); !rest) return rest;
  return flush();
}

}  // namespace auspex::cli
