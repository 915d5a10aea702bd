// SPDX-License-Identifier: Apache-2.0
// Dataset: a site's history as training and evaluation see it, in order of submission.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "shared/history/past.h"
#include "shared/job_reader.h"
#include "shared/result.h"

namespace auspex {

struct HistorySource {
  std::vector<std::string> paths;
  JobFormat format = JobFormat::kSacct;
  ReadOptions read;
};

struct History {
  std::vector<HistoryJob> jobs;  // by submit time; equal ones as the files have them
  ReadReport report;             // of all files together
};

// Errors: those of read_jobs; no path.
Result<History> read_history(const HistorySource& source);

// The submit time of the first job after `fraction` of the submissions; past the last one for 1.
int64_t submit_point_s(const std::vector<HistoryJob>& jobs, double fraction);

// What was known at a point in time: jobs that were completed before it.
std::vector<HistoryJob> completed_before(const std::vector<HistoryJob>& jobs, int64_t time_s);

}  // namespace auspex
