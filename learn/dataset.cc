// SPDX-License-Identifier: Apache-2.0
#include "learn/dataset.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

namespace auspex {
namespace {

HistoryJob history_job(const JobRecord& record) {
  HistoryJob job;
  job.features = features_of(record.submission);
  job.submit_s = record.submission.submit_time_s;
  job.end_s = record.end_s;
  job.runtime_s = record.runtime_s;
  job.limit_min = *record.submission.time_limit_min;
  job.nodes = requested_resources(record.submission).nodes;
  return job;
}

void add(ReadReport&& part, ReadReport& sum) {
  sum.rows += part.rows;
  sum.jobs += part.jobs;
  sum.skipped += part.skipped;
  sum.bad += part.bad;
  std::move(part.complaints.begin(), part.complaints.end(), std::back_inserter(sum.complaints));
}

}  // namespace

Result<History> read_history(const HistorySource& source) {
  if (source.paths.empty()) return Error{"no job history given"};
  History history;
  for (const std::string& path : source.paths) {
    Result<ReadReport> report =
        read_jobs(path, source.format, source.read,
                  [&](JobRecord&& record) { history.jobs.push_back(history_job(record)); });
    if (!report) return report.error();
    add(std::move(*report), history.report);
  }
  std::stable_sort(
      history.jobs.begin(), history.jobs.end(),
      [](const HistoryJob& a, const HistoryJob& b) { return a.submit_s < b.submit_s; });
  return history;
}

int64_t submit_point_s(const std::vector<HistoryJob>& jobs, double fraction) {
  const auto index = static_cast<size_t>(std::floor(fraction * static_cast<double>(jobs.size())));
  return index < jobs.size() ? jobs[index].submit_s : std::numeric_limits<int64_t>::max();
}

std::vector<HistoryJob> completed_before(const std::vector<HistoryJob>& jobs, int64_t time_s) {
  std::vector<HistoryJob> completed;
  std::copy_if(jobs.begin(), jobs.end(), std::back_inserter(completed),
               [time_s](const HistoryJob& job) { return job.end_s < time_s; });
  return completed;
}

}  // namespace auspex
