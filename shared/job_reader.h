// SPDX-License-Identifier: Apache-2.0
// Reads job histories: sacct -P, the Standard Workload Format, CSV; plain, .gz or .xz. Streaming.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/job_record.h"
#include "shared/result.h"

namespace auspex {

enum class JobFormat : uint8_t { kSacct, kSwf, kCsv };
Result<JobFormat> parse_job_format(std::string_view name);  // "sacct", "swf", "csv"

struct ReadOptions {
  double max_bad = 0.01;  // more bad rows than this share is an error
};

struct ReadReport {
  uint64_t rows = 0;                    // data rows seen
  uint64_t jobs = 0;                    // delivered
  uint64_t skipped = 0;                 // not jobs to learn from: steps, never started, no limit
  uint64_t bad = 0;                     // could not be understood
  std::vector<std::string> complaints;  // "FILE:LINE: what", the first ten bad rows
};

// Calls `deliver` once per job, in the file's order. Memory: one row.
// Errors: file cannot be read, header lacks a needed column (named), too many bad rows.
Result<ReadReport> read_jobs(const std::string& path, JobFormat format, const ReadOptions& options,
                             const std::function<void(JobRecord&&)>& deliver);

}  // namespace auspex
