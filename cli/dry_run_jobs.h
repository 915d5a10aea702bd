// SPDX-License-Identifier: Apache-2.0
// The dry run of a history: one decision for each past submission. A model that reads the history
// gets at each what had happened before it, as the daemon would have seen it from the file's
// beginning on; the decisions are then in the order of submission instead of the file's.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "cli/command.h"
#include "cli/job_order.h"
#include "daemon/engine.h"

namespace auspex::cli {

struct PastJobs {
  JobFile file;
  double from_fraction = 0;  // of the submissions, in the order of time
  uint64_t limit = std::numeric_limits<uint64_t>::max();
};

// Reads the file twice: first all of it, so that a bad file is refused before anything is printed,
// the warnings included.
// Returns the exit code.
int run_jobs(const Engine& engine, const PastJobs& jobs, bool json, Words warnings);

}  // namespace auspex::cli
