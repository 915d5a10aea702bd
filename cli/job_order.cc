// SPDX-License-Identifier: Apache-2.0
#include "cli/job_order.h"
#include "shared/progress.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <numeric>
#include <utility>

namespace auspex::cli {

Result<ReadReport> JobOrder::learn(const JobFile& file) {
  std::error_code ignored;
  if (std::filesystem::is_fifo(file.path, ignored)) {
    return Error{file.path + ": is a pipe, and the file is read twice"};
  }
  Progress progress("reading", 0);
  ReadOptions options = file.read;
  options.progress = [&progress](const ReadProgress& at) { progress.show(at.rows, at.share()); };
  submit_s_.clear();
  auto read = read_jobs(file.path, file.format, options, [this](JobRecord&& job) {
    submit_s_.push_back(job.submission.submit_time_s);
  });
  if (read && read->jobs == 0) {
    return Error{file.path + ": holds no job that can be decided (" + std::to_string(read->rows) +
                 " rows)"};
  }
  return read;
}

int64_t JobOrder::point_s(double fraction) const {
  if (fraction <= 0) return std::numeric_limits<int64_t>::min();
  std::vector<int64_t> submit_s = submit_s_;
  const auto index = static_cast<size_t>(fraction * static_cast<double>(submit_s.size()));
  if (index >= submit_s.size()) return std::numeric_limits<int64_t>::max();
  const auto at = submit_s.begin() + static_cast<std::ptrdiff_t>(index);
  std::nth_element(submit_s.begin(), at, submit_s.end());
  return *at;
}

Status JobOrder::play(const JobFile& file, const std::function<void(JobRecord&&)>& deliver) const {
  if (std::is_sorted(submit_s_.begin(), submit_s_.end())) {
    const auto read = read_jobs(file.path, file.format, file.read, deliver);
    if (!read) return read.error();
    return Done{};
  }
  std::vector<uint32_t> order(submit_s_.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [this](uint32_t a, uint32_t b) { return submit_s_[a] < submit_s_[b]; });
  std::vector<uint32_t> part_of(order.size());
  for (size_t rank = 0; rank < order.size(); ++rank) {
    part_of[order[rank]] = static_cast<uint32_t>(rank / part_);
  }
  const auto parts = static_cast<uint32_t>((order.size() + part_ - 1) / part_);
  for (uint32_t part = 0; part < parts; ++part) {
    if (Status played = play_part(file, part_of, part, deliver); !played) return played;
  }
  return Done{};
}

Status JobOrder::play_part(const JobFile& file, const std::vector<uint32_t>& part_of, uint32_t part,
                           const std::function<void(JobRecord&&)>& deliver) const {
  std::vector<JobRecord> jobs;
  size_t row = 0;
  const auto read = read_jobs(file.path, file.format, file.read, [&](JobRecord&& job) {
    if (row < part_of.size() && part_of[row] == part) jobs.push_back(std::move(job));
    ++row;
  });
  if (!read) return read.error();
  std::stable_sort(jobs.begin(), jobs.end(), [](const JobRecord& a, const JobRecord& b) {
    return a.submission.submit_time_s < b.submission.submit_time_s;
  });
  for (JobRecord& job : jobs) deliver(std::move(job));
  return Done{};
}

}  // namespace auspex::cli
