// SPDX-License-Identifier: Apache-2.0
#include "cli/dry_run_jobs.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/decision_output.h"
#include "cli/progress.h"
#include "cli/terminal.h"

namespace auspex::cli {
namespace {

// When the first job after the fraction was submitted; past the last one for 1.
int64_t submit_point_s(std::vector<int64_t>& submitted_s, double fraction) {
  if (fraction <= 0) return std::numeric_limits<int64_t>::min();
  const auto index = static_cast<size_t>(fraction * static_cast<double>(submitted_s.size()));
  if (index >= submitted_s.size()) return std::numeric_limits<int64_t>::max();
  const auto at = submitted_s.begin() + static_cast<std::ptrdiff_t>(index);
  std::nth_element(submitted_s.begin(), at, submitted_s.end());
  return *at;
}

// Prints decisions as they come: rows, or the items of one JSON array.
class Printer {
 public:
  explicit Printer(bool json) : json_(json) {
    if (json_) {
      std::fputs("{\"decisions\":[", stdout);
    } else {
      print_decision_head();
    }
  }

  void print(const JobRecord& job, const Decision& decision) {
    if (!json_) return print_decision_row(job.id, decision);
    nlohmann::json item = decision_json(job.submission, decision);
    item["id"] = job.id;
    std::printf("%s%s", first_ ? "" : ",\n", json_text(item).c_str());
    first_ = false;
  }

  void finish() {
    if (json_) std::puts("]}");
  }

 private:
  bool json_;
  bool first_ = true;
};

}  // namespace

int run_jobs(const Engine& engine, const PastJobs& jobs, bool json, Words warnings) {
  std::error_code ignored;
  if (std::filesystem::is_fifo(jobs.path, ignored)) {
    return fail("dry-run: " + jobs.path + ": is a pipe, and the file is read twice");
  }
  std::vector<int64_t> submitted_s;  // only where a share of them is asked for
  uint64_t total = 0;
  {
    Progress progress("reading", 0);
    ReadOptions options = jobs.read;
    options.progress = [&progress](const ReadProgress& at) { progress.show(at.rows, at.share()); };
    const auto read = read_jobs(jobs.path, jobs.format, options, [&](JobRecord&& job) {
      if (jobs.from_fraction > 0) submitted_s.push_back(job.submission.submit_time_s);
    });
    if (!read) return fail("dry-run: " + read.error().message);
    if (read->jobs == 0) {
      return fail("dry-run: " + jobs.path + ": holds no job that can be decided (" +
                  std::to_string(read->rows) + " rows)");
    }
    total = read->jobs;
    warnings.insert(warnings.end(), read->complaints.begin(), read->complaints.end());
  }
  print_warnings(warnings);
  const int64_t from_s = submit_point_s(submitted_s, jobs.from_fraction);

  Printer printer(json);
  uint64_t decided = 0;
  {
    Progress progress("deciding", total, isatty(STDOUT_FILENO) == 0);
    const auto read = read_jobs(jobs.path, jobs.format, jobs.read, [&](JobRecord&& job) {
      progress.advance();
      if (job.submission.submit_time_s < from_s || decided == jobs.limit) return;
      ++decided;
      printer.print(job, engine.decide(job.submission));
    });
    if (!read) return fail("dry-run: " + read.error().message);  // the file changed meanwhile
  }
  printer.finish();
  return kDone;
}

}  // namespace auspex::cli
