// SPDX-License-Identifier: Apache-2.0
// JobOrder: plays the jobs of a file in the order of their submission, equal times as they stand in
// the file. Memory: some bytes for each job and a bounded part of the jobs: a file in another order
// is read again for each part.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "shared/job_reader.h"

namespace auspex::cli {

struct JobFile {
  std::string path;
  JobFormat format = JobFormat::kSacct;
  ReadOptions read;
};

class JobOrder {
 public:
  // part: how many jobs are held at once. Source: our choice, about 100 MB.
  explicit JobOrder(size_t part = 1U << 16) : part_(part) {}

  // Reads the file a first time, so that a bad one is refused before anything is done with it.
  // Errors: those of read_jobs; a pipe; no job in it.
  Result<ReadReport> learn(const JobFile& file);

  // When the first job after this share of them was submitted; past the last one for 1.
  int64_t point_s(double fraction) const;

  // Errors: those of read_jobs: the file has changed meanwhile.
  Status play(const JobFile& file, const std::function<void(JobRecord&&)>& deliver) const;

 private:
  Status play_part(const JobFile& file, const std::vector<uint32_t>& part_of, uint32_t part,
                   const std::function<void(JobRecord&&)>& deliver) const;

  size_t part_;
  std::vector<int64_t> submit_s_;  // in the file's order
};

}  // namespace auspex::cli
