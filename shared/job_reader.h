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

struct ReadProgress {
  uint64_t bytes = 0;        // of the file as it lies on disk, compressed or not
  uint64_t bytes_total = 0;  // 0 when nobody knows: a pipe
  uint64_t rows = 0;

  double share() const {
    return bytes_total == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(bytes_total);
  }
};

struct ReadOptions {
  double max_bad = 0.01;  // more bad rows than this share is an error
  // Called after each block of the file and at its end. A compressed file's bytes move in steps.
  std::function<void(const ReadProgress&)> progress = nullptr;
};

struct ReadReport {
  uint64_t rows = 0;                    // data rows seen
  uint64_t jobs = 0;                    // delivered
  uint64_t skipped = 0;                 // not jobs to learn from: steps, never started, no limit
  uint64_t bad = 0;                     // could not be understood
  std::vector<std::string> complaints;  // "FILE:LINE: what", the first ten bad rows
};

// Calls `deliver` once per job, in the file's order. Memory: one row.
// A row is bad when a line of it is longer than 1 MiB; 16 MiB without a line end are an error.
// Errors: file cannot be read or is damaged or truncated, header lacks a needed column (named), a
// hopelessly long line, too many bad rows. What came before an error has been delivered.
Result<ReadReport> read_jobs(const std::string& path, JobFormat format, const ReadOptions& options,
                             const std::function<void(JobRecord&&)>& deliver);

}  // namespace auspex
