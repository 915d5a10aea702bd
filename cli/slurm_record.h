// SPDX-License-Identifier: Apache-2.0
// SlurmRecord: a job as scontrol or, later, sacct shows it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "daemon/ledger/story.h"
#include "shared/result.h"

namespace auspex::cli {

struct SlurmRecord {
  uint32_t job_id = 0;
  std::string user, partition, account, state, admin_comment;
  std::string submit, start, end, limit;
};

// job: "12" or "12_3". Errors: neither scontrol nor sacct knows it, or there is none of them.
Result<SlurmRecord> slurm_record(const std::string& job);

// "12" as a number.
std::optional<uint32_t> job_number(const std::string& job);

// What the record's audit tells.
Story story_of(const SlurmRecord& record);

}  // namespace auspex::cli
