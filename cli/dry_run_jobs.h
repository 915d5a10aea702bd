// SPDX-License-Identifier: Apache-2.0
// The dry run of a history: one decision for each past submission.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "cli/command.h"
#include "daemon/engine.h"
#include "shared/job_reader.h"

namespace auspex::cli {

struct PastJobs {
  std::string path;
  JobFormat format = JobFormat::kSacct;
  ReadOptions read;
  double from_fraction = 0;  // of the submissions, in the order of time
  uint64_t limit = std::numeric_limits<uint64_t>::max();
};

// Reads the file twice: first all of it, so that a bad file is refused before anything is printed,
// the warnings included.
// Returns the exit code.
int run_jobs(const Engine& engine, const PastJobs& jobs, bool json, Words warnings);

}  // namespace auspex::cli
