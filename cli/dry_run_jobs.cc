// SPDX-License-Identifier: Apache-2.0
#include "cli/dry_run_jobs.h"

#include <unistd.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/decision_output.h"
#include "cli/terminal.h"
#include "shared/history/timeline.h"
#include "shared/progress.h"

namespace auspex::cli {
namespace {

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
  JobOrder order;
  const Result<ReadReport> known = order.learn(jobs.file);
  if (!known) return fail("dry-run: " + known.error().message);
  warnings.insert(warnings.end(), known->complaints.begin(), known->complaints.end());
  print_warnings(warnings);
  const int64_t from_s = order.point_s(jobs.from_fraction);

  const bool in_time = engine.predictor() != nullptr && engine.predictor()->reads_history();
  HistoryCapacity capacity;
  capacity.keys = in_time ? engine.config().history.keys : 1;
  JobHistory history = engine.first_history(capacity);
  Timeline timeline(history);
  Printer printer(json);
  uint64_t decided = 0;
  Status played = Done{};
  {
    Progress progress("deciding", known->jobs, isatty(STDOUT_FILENO) == 0);
    const auto deliver = [&](JobRecord&& job) {
      progress.advance();
      if (decided == jobs.limit) return;
      std::optional<CalibratedLogs> promised;
      if (in_time) timeline.advance(job.submission.submit_time_s);
      if (job.submission.submit_time_s >= from_s) {
        ++decided;
        const Decision decision = engine.decide(job.submission, in_time ? &history : nullptr);
        if (decision.prediction) promised = decision.prediction->raw_log_s;
        printer.print(job, decision);
      }
      if (in_time) timeline.submit(history_job_of(job), promised);
    };
    if (in_time) {
      played = order.play(jobs.file, deliver);
    } else if (auto read = read_jobs(jobs.file.path, jobs.file.format, jobs.file.read, deliver);
               !read) {
      played = read.error();
    }
  }
  if (!played) return fail("dry-run: " + played.error().message);  // the file changed meanwhile
  printer.finish();
  return kDone;
}

}  // namespace auspex::cli
