// SPDX-License-Identifier: Apache-2.0
#include "daemon/guard/guard.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "ipc/event_sender.h"
#include "shared/units.h"

namespace auspex {
namespace {

using namespace std::chrono_literals;

// A sweep may take this share of the time, on slurmctld's side too. Source: our choice.
constexpr int kSweepShare = 200;
// Until a job whose limit could not be raised is tried again.
constexpr int64_t kTryAgain_s = 2;
constexpr auto kReportEvery = 1s;
// For the daemon's answer.
constexpr auto kPatience = 1s;

std::string no_rights_yet() {
  return "uid " + std::to_string(::geteuid()) +
         " is neither root nor SlurmUser, and no other user's job is there to try whether it is an "
         "operator";
}

}  // namespace

Guard::Guard(const std::string& socket, Slurm slurm)
    : slurm_(std::move(slurm)), client_(socket), second_looks_(slurm_, client_) {}

std::chrono::seconds Guard::unreachable_for() const {
  return std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - answered_);
}

void Guard::use(const Config& config, std::optional<std::string> fault) {
  config_fault_ = std::move(fault);
  config_ = config;
  rules_.lead_s = 60 * int64_t{config.guard.lead_min};
  rules_.sweep_s = longest_gap().count();
  sweep_at_ = Clock::now();
  second_looks_.use(config);
}

// Three looks fit into the shortest time that a job has; the configuration is refused otherwise.
std::chrono::seconds Guard::longest_gap() const {
  return std::chrono::seconds(20 * std::min(config_.guard.lead_min, config_.limits.floor_min));
}

void Guard::tick() {
  const int64_t now_s = std::time(nullptr);
  unreachable_.reset();
  if (Clock::now() >= sweep_at_ && refresh_site()) sweep(now_s);
  look_at_due(now_s);
  for (const LimitChange& change : second_looks_.make(now_s)) note(change);
  if (!unreachable_) answered_ = Clock::now();
  report();
}

bool Guard::refresh_site() {
  Result<Site> site = slurm_.site();
  if (!site) {
    unreachable_ = site.error().message;
    return false;
  }
  if (*site != site_) site_told_ = all_seen_ = false;
  site_ = std::move(*site);
  site_known_ = true;
  rules_.writes_audit = slurm_.is_privileged();
  rights_proved_ = rights_proved_ || rules_.writes_audit;
  return true;
}

void Guard::sweep(int64_t now_s) {
  const auto start = Clock::now();
  std::map<uint32_t, Watched> watched;
  std::map<uint32_t, JobState> others;
  std::optional<uint32_t> other_users_job;
  const auto swept = slurm_.sweep(/*only_changed=*/all_told_ && all_seen_);
  const auto look_at = [&](const SeenJob& seen) {
    JobState job = seen.state();
    recall(job);
    follower_.see(job, [&seen] { return seen.submission(); });
    if (job.phase != JobPhase::kEnded && job.user != ::geteuid()) other_users_job = job.id;
    const Plan plan = plan_for(job, now_s, rules_, site_);
    if (plan.action == Plan::Action::kOthers) others.emplace(job.id, job);
    if (plan.action == Plan::Action::kWait || plan.action == Plan::Action::kRaise) {
      const bool waits = plan.action == Plan::Action::kWait;
      watched.emplace(job.id, Watched{waits ? plan.look_at_s : now_s, job.audit});
    }
  };
  if (!swept) {
    unreachable_ = swept.error().message;
    return;
  }
  const size_t jobs = *swept ? (*swept)->size() : 0;
  for (size_t i = 0; i < jobs; ++i) look_at((**swept)[i]);
  const auto took = Clock::now() - start;
  sweep_at_ = start + std::clamp<Clock::duration>(took * kSweepShare,
                                                  std::chrono::seconds(config_.guard.interval_s),
                                                  longest_gap());
  if (!*swept) return;
  all_seen_ = true;
  for (const auto& [id, job] : others) {
    if (others_.count(id) == 0) {
      ++report_.left_to_others;
      note({id, ChangeKind::kSomebodyElse, now_s, job.limit_min, job.limit_min});
      spdlog::info("guard: job {}: its limit of {} is not ours any more; left to whoever set it",
                   id, format_time_limit(job.limit_min));
    }
  }
  std::erase_if(failing_, [&](const auto& job) { return watched.count(job.first) == 0; });
  watched_ = std::move(watched);
  others_.clear();
  for (const auto& [id, job] : others) others_.insert(id);
  report_.jobs = jobs;
  report_.sweep_ms = std::chrono::duration<double, std::milli>(took).count();
  const std::vector<JobEvent> events = follower_.end_sweep();
  tell(events);
  if (rules_.writes_audit && all_told_) second_looks_.consider(**swept, events);
  if (!rights_proved_ && other_users_job) prove_rights(*other_users_job);
}

void Guard::look_at_due(int64_t now_s) {
  std::vector<std::pair<int64_t, uint32_t>> due;
  for (const auto& [id, job] : watched_) {
    if (job.look_at_s <= now_s) due.emplace_back(job.look_at_s, id);
  }
  std::sort(due.begin(), due.end());  // who waits longest has the least time left
  for (const auto& [look_at_s, id] : due) {
    if (Clock::now() - reported_ >= kReportEvery) report();
    const auto job = slurm_.look(id);
    if (!job) {
      unreachable_ = job.error().message;
      return;
    }
    if (*job) {
      JobState seen = **job;
      recall(seen);
      follow_plan(seen, plan_for(seen, now_s, rules_, site_), now_s);
    } else {
      watched_.erase(id);
      failing_.erase(id);
    }
  }
}

// An admin_comment may be replaced by somebody who means something else: as long as the limit is
// ours, the job is still guarded, and gets its audit back with the next extension.
void Guard::recall(JobState& job) const {
  const auto known = watched_.find(job.id);
  if (!job.audit && known != watched_.end()) job.audit = known->second.audit;
}

void Guard::follow_plan(const JobState& job, const Plan& plan, int64_t now_s) {
  switch (plan.action) {
    case Plan::Action::kWait:
      watched_[job.id].look_at_s = std::max(plan.look_at_s, now_s + 1);
      return;
    case Plan::Action::kRaise:
      return raise(job, plan, now_s);
    case Plan::Action::kNone:
    case Plan::Action::kOthers:  // told of by the next sweep
      watched_.erase(job.id);
      failing_.erase(job.id);
      return;
  }
}

void Guard::raise(const JobState& job, const Plan& plan, int64_t now_s) {
  const Audit after = raised(*job.audit, job.limit_min, plan.limit_min);
  JobChange change = {.limit_min = plan.limit_min, .site_factor = {}, .admin_comment = {}};
  if (rules_.writes_audit) change.admin_comment = with_audit(job.admin_comment, after);
  const auto error = slurm_.update(job.id, std::move(change));
  if (!error) {
    ++report_.extended;
    failing_.erase(job.id);
    watched_[job.id] = {now_s + 1, after};  // its record tells when the next time is
    const bool runs = job.phase == JobPhase::kRunning;
    note({job.id, runs ? ChangeKind::kExtended : ChangeKind::kGivenBack, now_s, job.limit_min,
          plan.limit_min});
    const int64_t lead_s = job.end_s - now_s;
    if (runs) {
      report_.shortest_lead_s = std::min(report_.shortest_lead_s.value_or(lead_s), lead_s);
    }
    spdlog::info("guard: job {}: limit {} -> {} of {} asked, {}", job.id,
                 format_time_limit(job.limit_min), format_time_limit(plan.limit_min),
                 format_time_limit(after.asked_min),
                 runs ? std::to_string(lead_s) + " s before it expires" : "before a reservation");
    return;
  }
  if (Slurm::is_over(*error)) {  // or in its grace time before it is requeued: its record will tell
    watched_[job.id].look_at_s = now_s + kTryAgain_s;
    return;
  }
  ++report_.failed;
  watched_[job.id].look_at_s = now_s + kTryAgain_s;
  if (failing_.emplace(job.id, error->text).second) {
    spdlog::error("guard: job {}: its limit could not be raised: {}", job.id, error->text);
  }
}

// An update that changes nothing needs the same rights as one that does.
void Guard::prove_rights(uint32_t other_users_job) {
  const auto error = slurm_.update(other_users_job, {});
  denied_.reset();
  if (error && Slurm::is_denied(*error)) {
    denied_ = "uid " + std::to_string(::geteuid()) +
              " may not change other users' jobs: run auspexd as root, as SlurmUser, or give this "
              "user AdminLevel=Operator";
  } else if (!error) {
    rights_proved_ = true;
    spdlog::info(
        "guard: uid {} is an operator: limits are raised, but admin_comment stays as it is, and "
        "there "
        "are no second looks",
        ::geteuid());
  }
}

std::optional<std::string> Guard::fault() const {
  if (unreachable_) return "slurmctld does not answer: " + *unreachable_;
  if (!site_known_) return "slurmctld was not asked yet";
  if (denied_) return denied_;
  if (!rights_proved_) return no_rights_yet();
  if (config_fault_) return config_fault_;
  if (const std::string behind = slurm_.plugins_behind(); !behind.empty()) {
    return "JobSubmitPlugins: " + behind +
           " behind auspex may replace the audit in admin_comment: put auspex last";
  }
  if (!failing_.empty()) {
    return "job " + std::to_string(failing_.begin()->first) +
           " could not be extended: " + failing_.begin()->second;
  }
  return std::nullopt;
}

void Guard::report() {
  reported_ = Clock::now();
  ipc::GuardReport report = current_report();
  const size_t count = std::min(changes_.size(), ipc::kMaxChanges);
  const auto end = changes_.begin() + static_cast<std::ptrdiff_t>(count);
  report.changes.assign(changes_.begin(), end);
  const bool tells_site = report.site.has_value();
  const bool answers = send(std::move(report));
  if (tells_site) site_told_ = answers;
  if (answers) changes_.erase(changes_.begin(), end);
}

ipc::GuardReport Guard::current_report() const {
  ipc::GuardReport report = report_;
  report.fault = fault();
  report.guarded = watched_.size();
  if (site_known_ && !site_told_) report.site = site_;
  return report;
}

// For the ledger: what it is not told in time it does without.
void Guard::note(const LimitChange& change) {
  constexpr size_t kMost = 65'536;
  if (changes_.size() < kMost) changes_.push_back(change);
}

bool Guard::send(ipc::Request request) {
  const auto outcome = client_.call(std::move(request), ipc::Clock::now() + kPatience);
  const auto* reply = std::get_if<ipc::Reply>(&outcome);
  const bool answers = reply != nullptr && std::holds_alternative<ipc::GuardReply>(*reply);
  if (answers != daemon_answers_) {
    if (answers) spdlog::info("guard: the daemon answers again");
    if (!answers) spdlog::warn("guard: the daemon does not answer at {}", client_.socket_path());
  }
  daemon_answers_ = answers;
  return answers;
}

// Either the daemon hears of all that happened, or of every job anew as soon as it answers.
void Guard::tell(const std::vector<JobEvent>& events) {
  bool told = all_told_;
  if (!told) {
    ipc::GuardReport first = current_report();
    first.first = true;
    told = send(std::move(first));
  }
  ipc::EventSender sender(client_, kPatience);
  for (size_t i = 0; told && i < events.size(); ++i) told = sender.add(events[i]).ok();
  all_told_ = told && sender.flush().ok();
  if (!all_told_) follower_.forget_all();
}

}  // namespace auspex
