// SPDX-License-Identifier: Apache-2.0
// From slurmctld's job description to our Submission.
#pragma once

#include <cstdint>

#include "plugin/slurm_symbols.h"
#include "shared/submission.h"

namespace auspex::plugin {

// Copies what the daemon may know: every text cut to ipc/protocol.h's limits, the script's first
// kMaxScriptBytes, of the environment only AUSPEX and AUSPEX_*. NULL-safe on every field; changes
// nothing. submit_uid: who asks, used where the description names no user.
Submission copy_submission(const job_desc_msg_t& job, uint32_t submit_uid, int64_t now_s);

}  // namespace auspex::plugin
