// SPDX-License-Identifier: Apache-2.0
// SecondLooks: has pending jobs decided again when a job of their user has ended, and applies it,
// so many calls of slurmctld a minute.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "daemon/guard/slurm.h"
#include "ipc/client.h"
#include "shared/config.h"
#include "shared/job_event.h"
#include "shared/limit_change.h"

namespace auspex {

class SecondLooks {
 public:
  SecondLooks(Slurm& slurm, ipc::Client& client) : slurm_(slurm), client_(client) {}
  void use(const Config& config);

  // After a sweep, and once the daemon has heard of its events: which jobs are worth a look.
  void consider(const Sweep& sweep, const std::vector<JobEvent>& events);

  // To be called every second; what was changed.
  std::vector<LimitChange> make(int64_t now_s);

 private:
  // false: the daemon does not answer.
  bool look(const ipc::LookRequest& request, std::vector<LimitChange>& changes);

  Slurm& slurm_;
  ipc::Client& client_;
  bool wanted_ = false;
  uint32_t per_minute_ = 0;
  double calls_ = 0;  // of slurmctld that may be made now
  // By how often the job was looked at, so that each has its first look before others their second,
  // and by its id.
  using Turn = std::pair<uint32_t, uint32_t>;
  std::map<Turn, ipc::LookRequest> due_;
};

}  // namespace auspex
