// SPDX-License-Identifier: Apache-2.0
#include "daemon/guard/second_looks.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>

#include "ipc/event_sender.h"
#include "shared/units.h"

namespace auspex {
namespace {

using namespace std::chrono_literals;

// One to see that the job is as it was, one to change it.
constexpr double kCallsPerChange = 2;
// Asked of the daemon in a second, so that submissions do not wait behind them. Source: our choice.
constexpr int kQuestionsPerTick = 200;
constexpr size_t kMostDue = 20'000;
constexpr auto kPatience = 1s;

}  // namespace

void SecondLooks::use(const Config& config) {
  wanted_ = config.second_look.mode != LookMode::kOff;
  for (const Rule& rule : config.rules) {
    wanted_ = wanted_ || rule.second_look.value_or(LookMode::kOff) != LookMode::kOff;
  }
  per_minute_ = config.second_look.per_minute;
  calls_ = std::max(kCallsPerChange, per_minute_ / 60.0);
}

void SecondLooks::consider(const Sweep& sweep, const std::vector<JobEvent>& events) {
  if (!wanted_) return;
  std::set<std::string> users;
  for (const JobEvent& event : events) {
    if (event.kind == EventKind::kEnded && event.runtime_s > 0) users.insert(event.submission.user);
  }
  if (users.empty()) return;
  for (size_t i = 0; i < sweep.size() && due_.size() < kMostDue; ++i) {
    const JobState job = sweep[i].state();
    if (job.phase != JobPhase::kPending || job.held) continue;
    if (users.count(std::to_string(job.user)) == 0) continue;
    ipc::LookRequest request;
    request.job_id = job.id;
    request.submission = sweep[i].submission();
    request.limit_min = job.limit_min;
    request.site_factor = job.site_factor;
    uint32_t looks = 0;
    if (job.audit) {
      request.submission.time_limit_min = job.audit->asked_min;
      looks = job.audit->looks;
    }
    ipc::cut_to_wire(request.submission);
    due_.insert_or_assign({looks, job.id}, std::move(request));
  }
}

std::vector<LimitChange> SecondLooks::make(int64_t now_s) {
  const double per_second = per_minute_ / 60.0;
  calls_ = std::min(calls_ + per_second, std::max(kCallsPerChange, per_second));
  std::vector<LimitChange> changes;
  for (int asked = 0; asked < kQuestionsPerTick && !due_.empty(); ++asked) {
    if (calls_ < kCallsPerChange) break;
    auto next = due_.extract(due_.begin());
    next.mapped().now_s = now_s;
    if (!look(next.mapped(), changes)) break;
  }
  return changes;
}

bool SecondLooks::look(const ipc::LookRequest& request, std::vector<LimitChange>& changes) {
  const auto outcome = client_.call(request, ipc::Clock::now() + kPatience);
  const auto* reply = std::get_if<ipc::Reply>(&outcome);
  const auto* look = reply == nullptr ? nullptr : std::get_if<ipc::LookReply>(reply);
  if (look == nullptr) return false;
  if (!look->edits) return true;

  calls_ -= kCallsPerChange;
  const auto now = slurm_.look(request.job_id);
  const bool as_it_was = now && *now && (**now).phase == JobPhase::kPending && !(**now).held &&
                         (**now).limit_min == request.limit_min &&
                         (**now).admin_comment == request.submission.admin_comment;
  if (!as_it_was) return true;
  const Edits& edits = *look->edits;
  const auto error =
      slurm_.update(request.job_id, {edits.time_limit_min, edits.site_factor, edits.admin_comment});
  if (error) {
    spdlog::warn("guard: job {}: a second look could not be applied: {}", request.job_id,
                 error->text);
    return true;
  }
  spdlog::info("guard: job {}: second look: limit {} -> {}", request.job_id,
               format_time_limit(request.limit_min), format_time_limit(look->to_min));
  changes.push_back(
      {request.job_id, ChangeKind::kSecondLook, request.now_s, request.limit_min, look->to_min});
  return true;
}

}  // namespace auspex
