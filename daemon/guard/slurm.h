// SPDX-License-Identifier: Apache-2.0
// Slurm: what the guard asks of slurmctld, through libslurm. The only place that knows it.
//
// libslurm ends the process when it finds no configuration or no authentication, and a call may
// block for as long as MessageTimeout, several times over: that is why the guard is a process of
// its own.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "daemon/guard/job_state.h"
#include "shared/result.h"
#include "shared/site.h"
#include "shared/submission.h"

namespace auspex {

// A job of a sweep, as long as that lives.
class SeenJob {
 public:
  explicit SeenJob(const void* row) : row_(row) {}
  JobState state() const;
  // What its user asked for, as far as the record still tells; with the limit as it is now.
  Submission submission() const;

 private:
  const void* row_;  // slurm_job_info_t
};

// All jobs at one moment.
class Sweep {
 public:
  size_t size() const;
  SeenJob operator[](size_t index) const;  // index < size()

 private:
  friend class Slurm;
  std::shared_ptr<const void> jobs_;  // job_info_msg_t
};

// What is not set stays as it is.
struct JobChange {
  std::optional<uint32_t> limit_min;
  std::optional<int32_t> site_factor;  // relative to NICE_OFFSET
  std::optional<std::string> admin_comment;
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
  // JobSubmitPlugins behind ours, with commas: they may replace what ours has written. "": none.
  // Known after site().
  std::string plugins_behind() const;

  // nullopt: only_changed, and nothing has since the last sweep.
  Result<std::optional<Sweep>> sweep(bool only_changed);
  // One job (of an array's id: also its tasks). nullopt: there is no such job any more.
  Result<std::optional<JobState>> look(uint32_t id);

  // All of it or nothing. An empty change fails as any other would that is not permitted.
  std::optional<SlurmError> update(uint32_t id, JobChange change);

  static bool is_denied(const SlurmError& error);
  static bool is_over(const SlurmError& error);  // the job has ended, or will not go on

 private:
  struct Loaded;
  Slurm();
  std::unique_ptr<Loaded> loaded_;
};

}  // namespace auspex
