// SPDX-License-Identifier: Apache-2.0
#include "learn/dataset.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

namespace auspex {
namespace {

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
                  [&](JobRecord&& record) { history.jobs.push_back(history_job_of(record)); });
    if (!report) return report.error();
    add(std::move(*report), history.report);
  }
  std::stable_sort(history.jobs.begin(), history.jobs.end(),
                   [](const HistoryJob& a, const HistoryJob& b) {
                     return a.request.submit_s < b.request.submit_s;
                   });
  return history;
}

int64_t submit_point_s(const std::vector<HistoryJob>& jobs, double fraction) {
  const auto index = static_cast<size_t>(std::floor(fraction * static_cast<double>(jobs.size())));
  return index < jobs.size() ? jobs[index].request.submit_s : std::numeric_limits<int64_t>::max();
}

std::vector<HistoryJob> completed_before(const std::vector<HistoryJob>& jobs, int64_t time_s) {
  std::vector<HistoryJob> completed;
  std::copy_if(jobs.begin(), jobs.end(), std::back_inserter(completed),
               [time_s](const HistoryJob& job) { return job.end_s < time_s; });
  return completed;
}

}  // namespace auspex
