// SPDX-License-Identifier: Apache-2.0
// Guard: looks at slurmctld's jobs and raises a rewritten limit before it expires, up to what the
// user had asked for.
//
// It keeps nothing: the jobs' records hold all that it needs, so it may be killed at any time. All
// jobs are looked at in sweeps, which are rare when they are dear; each guarded job is looked at by
// itself before it could come near its limit, and once more right before it is changed.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/guard/follower.h"
#include "daemon/guard/plan.h"
#include "daemon/guard/second_looks.h"
#include "daemon/guard/slurm.h"
#include "ipc/client.h"
#include "shared/config.h"

namespace auspex {

class Guard {
 public:
  // socket: the daemon's, which keeps it over a change of the configuration.
  Guard(const std::string& socket, Slurm slurm);

  // fault: why these settings are not the site's.
  void use(const Config& config, std::optional<std::string> fault = std::nullopt);
  // So long has slurmctld not answered; 0: it does.
  std::chrono::seconds unreachable_for() const;
  // What is to be done now; to be called every second. Blocks for as long as slurmctld takes.
  void tick();

 private:
  using Clock = std::chrono::steady_clock;

  struct Watched {
    int64_t look_at_s = 0;       // when it is to be looked at
    std::optional<Audit> audit;  // as it was last
  };

  bool refresh_site();
  void recall(JobState& job) const;
  void sweep(int64_t now_s);
  void look_at_due(int64_t now_s);
  void follow_plan(const JobState& job, const Plan& plan, int64_t now_s);
  void raise(const JobState& job, const Plan& plan, int64_t now_s);
  void prove_rights(uint32_t other_users_job);
  std::optional<std::string> fault() const;
  void report();
  ipc::GuardReport current_report() const;
  bool send(ipc::Request request);
  void note(const LimitChange& change);
  void tell(const std::vector<JobEvent>& events);
  std::chrono::seconds longest_gap() const;

  Config config_;
  Slurm slurm_;
  ipc::Client client_;
  GuardRules rules_;
  Site site_;
  bool site_known_ = false, site_told_ = false;
  bool all_seen_ = false;  // every job, with the site as it is now
  std::optional<std::string> config_fault_;
  Clock::time_point sweep_at_{};

  std::map<uint32_t, Watched> watched_;      // guarded jobs
  std::map<uint32_t, std::string> failing_;  // job -> why its limit could not be raised
  std::set<uint32_t> others_;                // jobs with a limit of somebody else
  std::optional<std::string> unreachable_;   // slurmctld
  std::optional<std::string> denied_;
  bool rights_proved_ = false, daemon_answers_ = true;
  Follower follower_;
  SecondLooks second_looks_;
  bool all_told_ = false;            // the daemon has heard of every job
  std::deque<LimitChange> changes_;  // that the daemon was not told yet
  ipc::GuardReport report_;
  Clock::time_point reported_{}, answered_ = Clock::now();
};

}  // namespace auspex
