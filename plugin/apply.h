// SPDX-License-Identifier: Apache-2.0
// From the daemon's edits to slurmctld's job description. The daemon is not believed: edits are
// checked against the job first and taken whole or not at all.
#pragma once

#include <optional>
#include <string>

#include "plugin/slurm_symbols.h"
#include "shared/decision.h"

namespace auspex::plugin {

// The site factor that an edit may ask for, in either direction.
inline constexpr int32_t kMaxSiteFactor = 1'000'000;

// Why these edits must not touch this job, or nothing when they may. The limit never rises above
// what the user asked, time_min never above the limit, texts are one line of bounded length.
std::optional<std::string> objection(const Edits& edits, const job_desc_msg_t& job);

// Writes the edits; objection() must have had none. comment and admin_comment are appended to what
// stands there. message: set where the caller passed a place and it is still empty. Strings that
// cannot be allocated leave their field as it was.
void apply(const Edits& edits, job_desc_msg_t& job, char** message);

}  // namespace auspex::plugin
