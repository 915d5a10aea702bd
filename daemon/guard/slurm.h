// SPDX-License-Identifier: Apache-2.0
// Slurm: what the guard asks of slurmctld, through libslurm. The only place that knows it.
//
// libslurm ends the process when it finds no configuration or no authentication, and a call may
// block for as long as MessageTimeout, several times over: that is why the guard is a process of
// its own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/guard/job_state.h"
#include "shared/result.h"
#include "shared/site.h"
#include "shared/submission.h"

namespace auspex {

// A job of a sweep, as long as the call lasts.
class SeenJob {
 public:
  explicit SeenJob(const void* row) : row_(row) {}
  uint32_t id() const;
  JobState state() const;
  // What its user asked for, as far as the record still tells; with the limit as it is now.
  Submission submission() const;

 private:
  const void* row_;  // slurm_job_info_t
};

struct SlurmError {
  int number = 0;
  std::string text;
};

class Slurm {
 public:
  // Reads slurm.conf. Does not come back where there is none.
  static Slurm open();
  ~Slurm();
  Slurm(Slurm&&) noexcept;

  // Version, partitions, coming reservations. Asks only for what has changed.
  Result<Site> site();
  // Root or SlurmUser: everything may be changed. Known after site().
  bool is_privileged() const;

  // Shows every job. nullopt: none was shown, because only_changed and nothing has since the last.
  Result<std::optional<size_t>> sweep(bool only_changed,
                                      const std::function<void(const SeenJob&)>& visit);
  // One job (of an array's id: also its tasks). nullopt: there is no such job any more.
  Result<std::optional<JobState>> look(uint32_t id);

  // Sets a job's limit and, in the same update, its admin_comment.
  std::optional<SlurmError> set_limit(uint32_t id, uint32_t limit_min,
                                      const std::optional<std::string>& admin_comment);
  // Changes nothing, and fails as a change would that is not permitted.
  std::optional<SlurmError> try_update(uint32_t id);

  static bool is_denied(const SlurmError& error);
  static bool is_gone(const SlurmError& error);  // the job has ended

 private:
  struct Loaded;
  Slurm();
  std::unique_ptr<Loaded> loaded_;
};

}  // namespace auspex
