// SPDX-License-Identifier: Apache-2.0
// The Standard Workload Format: 18 numbers a row, -1 for unknown, header lines begin with ';'.
// Source: Parallel Workloads Archive, "The Standard Workload Format", version 2.2.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "shared/printable.h"
#include "shared/readers/row_reader.h"
#include "shared/readers/table_job.h"

namespace auspex {
namespace {

enum Column : size_t {
  kJob,
  kSubmit,
  kWait,
  kRun,
  kUsedProcs,
  kAverageCpu,
  kUsedMemory,
  kProcs,
  kTime,
  kMemoryKib,
  kStatus,
  kUser,
  kGroup,
  kExecutable,
  kQueue,
  kPartition,
  kPreviousJob,
  kThinkTime,
  kColumnCount,
};

// Source: the format's field 11; 2 to 4 are parts of checkpointed jobs.
constexpr double kStatusFailed = 0, kStatusCompleted = 1, kStatusCancelled = 5;

// A negative one says that the clock went backwards.
constexpr std::array<std::pair<Column, std::string_view>, 3> kSpans = {
    {{kWait, "wait time"}, {kRun, "runtime"}, {kTime, "limit"}}};
constexpr double kUnknown = -1;

// No log is longer or has more processors; beyond it an integer conversion would overflow.
constexpr double kMaxValue = std::numeric_limits<int32_t>::max();

std::string_view next_word(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t";
  line.remove_prefix(std::min(line.find_first_not_of(kBlanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(kBlanks));
  line.remove_prefix(word.size());
  return word;
}

Outcome outcome_of(double status) {
  if (status == kStatusCompleted) return Outcome::kCompleted;
  if (status == kStatusFailed) return Outcome::kFailed;
  if (status == kStatusCancelled) return Outcome::kCancelled;
  return Outcome::kOther;
}

class SwfReader final : public RowReader {
 public:
  Result<bool> take_header(std::string_view line) override {
    if (!line.starts_with(';')) return false;
    line.remove_prefix(1);
    if (next_word(line) != "UnixStartTime:") return true;
    const std::string_view text = next_word(line);
    const std::optional<double> start_s = parse_number(text);
    if (!start_s || std::abs(*start_s) > kMaxValue) {
      return Error{"UnixStartTime: '" + printable(text) + "' is not a time"};
    }
    log_start_s_ = std::llround(*start_s);
    return true;
  }

  Result<RowKind> take_row(std::string_view line, JobRecord& job) override {
    if (line.find_first_not_of(" \t") == std::string_view::npos) return RowKind::kSkipped;
    std::array<double, kColumnCount> row{};
    std::array<std::string_view, kColumnCount> words{};
    for (size_t column = 0; column < kColumnCount; ++column) {
      words[column] = next_word(line);
      const std::optional<double> value = parse_number(words[column]);
      if (!value || std::abs(*value) > kMaxValue) {
        return Error{"column " + std::to_string(column + 1) + ": '" + printable(words[column]) +
                     "' is not a number in range"};
      }
      row[column] = *value;
    }
    if (!next_word(line).empty()) return Error{"more than 18 columns"};
    if (row[kSubmit] < 0) return Error{"submit time: '" + printable(words[kSubmit]) + "'"};
    for (const auto& [column, name] : kSpans) {
      if (row[column] >= 0 || row[column] == kUnknown) continue;
      return Error{std::string(name) + ": '" + printable(words[column]) + "' is negative"};
    }

    const double procs = row[kProcs] > 0 ? row[kProcs] : row[kUsedProcs];
    // Without a wait nobody knows when it ended, and so what was known at a later submission.
    if (row[kRun] <= 0 || row[kTime] <= 0 || procs <= 0 || row[kWait] < 0) {
      return RowKind::kSkipped;
    }
    fill(row, words, procs, job);
    return RowKind::kJob;
  }

  bool ready() const override { return true; }

 private:
  void fill(const std::array<double, kColumnCount>& row,
            const std::array<std::string_view, kColumnCount>& words, double procs,
            JobRecord& job) const {
    const auto code = [&](Column column) {
      return row[column] < 0 ? std::string() : std::string(words[column]);
    };
    job.id = words[kJob];
    job.outcome = outcome_of(row[kStatus]);
    job.runtime_s = row[kRun];
    Submission& submission = job.submission;
    submission.submit_time_s = log_start_s_ + std::llround(row[kSubmit]);
    job.start_s = submission.submit_time_s + std::llround(row[kWait]);
    job.end_s = job.start_s + std::llround(row[kRun]);
    submission.user = code(kUser);
    submission.group = code(kGroup);
    submission.qos = code(kQueue);
    submission.partition = code(kPartition);
    // A log's executables are what a script is to Slurm; job names it has none.
    if (row[kExecutable] >= 0) submission.argv = {code(kExecutable)};
    submission.time_limit_min = static_cast<uint32_t>(std::ceil(row[kTime] / 60));
    submission.min_cpus = static_cast<uint32_t>(std::max(1.0, std::round(procs)));
    if (row[kMemoryKib] > 0) {
      constexpr double kKibPerMib = 1024;
      submission.memory_per_cpu_mib =
          static_cast<uint64_t>(std::max(1.0, std::round(row[kMemoryKib] / kKibPerMib)));
    }
  }

  int64_t log_start_s_ = 0;
};

}  // namespace

std::unique_ptr<RowReader> make_swf_reader() {
  return std::make_unique<SwfReader>();
}

}  // namespace auspex
