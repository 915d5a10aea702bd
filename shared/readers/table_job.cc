// SPDX-License-Identifier: Apache-2.0
#include "shared/readers/table_job.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "shared/printable.h"
#include "shared/sbatch_options.h"
#include "shared/units.h"

namespace auspex {
namespace {

// A longer one is a broken clock, or a time where a duration should be. Source: our choice; ten
// years are far above any site's MaxTime and far below the seconds since the epoch.
constexpr double kMaxRuntimeS = 3650.0 * 86400;

Error bad(std::string_view what, std::string_view value) {
  return Error{std::string(what) + ": '" + printable(value) + "'"};
}

struct StateName {
  std::string_view name;
  Outcome outcome;
};
// Source: sacct(1), JOB STATE CODES. The rest, such as NODE_FAIL and PREEMPTED, says nothing about
// the job itself: Outcome::kOther.
constexpr std::array<StateName, 5> kEndStates = {{{"COMPLETED", Outcome::kCompleted},
                                                  {"FAILED", Outcome::kFailed},
                                                  {"OUT_OF_MEMORY", Outcome::kFailed},
                                                  {"TIMEOUT", Outcome::kTimeout},
                                                  {"CANCELLED", Outcome::kCancelled}}};
// Not over yet, so the runtime is not final.
constexpr std::array<std::string_view, 5> kLiveStates = {"RUNNING", "PENDING", "SUSPENDED",
                                                         "RESIZING", "COMPLETING"};

bool is_live(const RowFields& fields) {
  const std::string_view state = fields[Field::kState];
  // A run that ended because its job was requeued is over; the job itself may be waiting again.
  // Source: sacct(1), --duplicates.
  if (state.starts_with("REQUEUE")) return says_nothing(fields[Field::kEnd]);
  return std::any_of(kLiveStates.begin(), kLiveStates.end(),
                     [&](std::string_view live) { return state.starts_with(live); });
}

Outcome outcome_of(std::string_view state) {
  for (const StateName& known : kEndStates) {
    if (state.starts_with(known.name)) return known.outcome;  // "CANCELLED by 1000"
  }
  return Outcome::kOther;
}

std::string text_of(std::string_view cell) {
  return says_nothing(cell) ? std::string() : std::string(cell);
}

// A count of CPUs or nodes; empty for none or zero.
Result<std::optional<uint32_t>> count_of(std::string_view what, std::string_view cell) {
  if (says_nothing(cell)) return std::optional<uint32_t>();
  std::optional<double> value = parse_number(cell);
  if (!value) {
    if (Result<double> scaled = parse_count(cell)) value = *scaled;
  }
  if (!value || *value < 0 || *value > std::numeric_limits<int32_t>::max()) return bad(what, cell);
  if (*value < 1) return std::optional<uint32_t>();
  return std::optional<uint32_t>(static_cast<uint32_t>(std::lround(*value)));
}

Result<int64_t> time_of(std::string_view what, std::string_view cell) {
  Result<int64_t> time_s = parse_timestamp(cell);
  if (!time_s || *time_s < 0) return bad(what, cell);
  return time_s;
}

// Of a column that may be empty.
Result<std::optional<int64_t>> known_time_of(std::string_view what, std::string_view cell) {
  if (says_nothing(cell)) return std::optional<int64_t>();
  Result<int64_t> time_s = time_of(what, cell);
  if (!time_s) return time_s.error();
  return std::optional<int64_t>(*time_s);
}

struct Times {
  int64_t submit_s = 0;
  std::optional<int64_t> start_s, end_s;
};

// A job that ran before it was submitted, or backwards, would teach nonsense: a clock was set back.
Status check_order(const RowFields& fields, const Times& times) {
  const auto before = [&](std::string_view what, Field later, std::string_view than,
                          Field earlier) {
    return Error{bad(what, fields[later]).message + " is before " +
                 bad(than, fields[earlier]).message};
  };
  if (times.start_s && *times.start_s < times.submit_s) {
    return before("start time", Field::kStart, "submit time", Field::kSubmit);
  }
  if (times.end_s && times.start_s && *times.end_s < *times.start_s) {
    return before("end time", Field::kEnd, "start time", Field::kStart);
  }
  if (times.end_s && *times.end_s < times.submit_s) {
    return before("end time", Field::kEnd, "submit time", Field::kSubmit);
  }
  return Done{};
}

Result<Times> read_times(const RowFields& fields) {
  Result<int64_t> submit_s = time_of("submit time", fields[Field::kSubmit]);
  if (!submit_s) return submit_s.error();
  Result<std::optional<int64_t>> start_s = known_time_of("start time", fields[Field::kStart]);
  if (!start_s) return start_s.error();
  Result<std::optional<int64_t>> end_s = known_time_of("end time", fields[Field::kEnd]);
  if (!end_s) return end_s.error();
  const Times times{*submit_s, *start_s, *end_s};
  const Status ordered = check_order(fields, times);
  return ordered ? Result<Times>(times) : ordered.error();
}

Result<double> read_runtime_s(std::string_view text) {
  std::optional<double> runtime_s = parse_number(text);
  if (!runtime_s) {
    if (Result<double> duration_s = parse_duration_s(text)) runtime_s = *duration_s;
  }
  if (!runtime_s || *runtime_s < 0 || *runtime_s > kMaxRuntimeS) return bad("runtime", text);
  return *runtime_s;
}

// Where a history tells only the start or only the end, the runtime tells the other.
// False when the job never ran or has not ended.
Result<bool> read_run(const RowFields& fields, JobRecord& job) {
  const std::string_view text = fields[Field::kRuntime];
  if (says_nothing(text)) return false;
  Result<double> runtime_s = read_runtime_s(text);
  if (!runtime_s) return runtime_s.error();
  // Before the runtime is looked at: sacct says 0 of a job that ended before it started.
  Result<Times> times = read_times(fields);
  if (!times) return times.error();
  if (*runtime_s == 0 || (!times->start_s && !times->end_s)) return false;

  job.runtime_s = *runtime_s;
  job.submission.submit_time_s = times->submit_s;
  const int64_t whole_s = std::llround(*runtime_s);
  job.start_s = times->start_s ? *times->start_s : *times->end_s - whole_s;
  job.end_s = times->end_s ? *times->end_s : *times->start_s + whole_s;
  // Whole seconds, so a start that is reckoned back may be one too early.
  if (job.start_s + 1 == times->submit_s) job.start_s = times->submit_s;
  if (job.start_s >= times->submit_s) return true;
  return Error{bad("runtime", text).message + " is longer than from submission to end"};
}

// False when the job had no limit.
Result<bool> read_limit(const RowFields& fields, Submission& submission) {
  if (const std::string_view seconds = fields[Field::kLimitS]; !says_nothing(seconds)) {
    const std::optional<double> limit_s = parse_number(seconds);
    if (!limit_s || *limit_s < 0 || *limit_s / 60 >= kUnlimitedMin) return bad("limit", seconds);
    submission.time_limit_min = static_cast<uint32_t>(std::ceil(*limit_s / 60));
    return *limit_s > 0;
  }
  const std::string_view text = fields[Field::kLimitMin];
  if (says_nothing(text) || text == "Partition_Limit") return false;
  Result<uint32_t> limit_min = parse_time_limit_min(text);
  if (!limit_min) return bad("limit", text);
  submission.time_limit_min = *limit_min;
  return *limit_min > 0 && *limit_min != kUnlimitedMin;
}

// The parts of "billing=4,cpu=4,gres/gpu:a100=1,mem=16G,node=1" that say what a column may not.
struct TresParts {
  std::string_view cpus, nodes, memory;
  std::string gpus;  // "gres/gpu:a100:1"; typed ones are preferred, they are counted in the untyped
};

TresParts tres_parts(std::string_view tres) {
  constexpr std::string_view kGpu = "gres/gpu";
  TresParts parts;
  std::string untyped;
  while (!tres.empty()) {
    const size_t comma = std::min(tres.find(','), tres.size());
    const std::string_view part = tres.substr(0, comma);
    tres.remove_prefix(std::min(comma + 1, tres.size()));
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = part.substr(0, equals);
    const std::string_view value = part.substr(equals + 1);
    if (name == "cpu") parts.cpus = value;
    if (name == "node") parts.nodes = value;
    if (name == "mem") parts.memory = value;
    if (!name.starts_with(kGpu) || value == "0") continue;
    const bool typed = name.size() > kGpu.size();
    if (typed && name[kGpu.size()] != ':') continue;  // gres/gpumem, gres/gpuutil
    std::string& gpus = typed ? parts.gpus : untyped;
    gpus.append(gpus.empty() ? "" : ",").append(name).append(":").append(value);
  }
  if (parts.gpus.empty()) parts.gpus = std::move(untyped);
  return parts;
}

// ReqMem: the whole job's since Slurm 21.08; before that with "c" per CPU or "n" per node.
// Source: sacct(1), ReqMem, of 20.11 and of 22.05.
Result<std::optional<double>> memory_per_cpu_mib(std::string_view text, double cpus, double nodes) {
  std::string_view amount = text;
  double share = 1 / cpus;
  if (amount.ends_with('c')) share = 1;
  if (amount.ends_with('n')) share = nodes / cpus;
  if (amount.ends_with('c') || amount.ends_with('n')) amount.remove_suffix(1);
  if (says_nothing(amount) || amount == "?") return std::optional<double>();
  if (const std::optional<double> mib = parse_number(amount); mib && *mib >= 0) {
    return std::optional<double>(*mib * share);
  }
  Result<uint64_t> mib = parse_memory_mib(amount);
  if (!mib) return bad("memory", text);
  return std::optional<double>(static_cast<double>(*mib) * share);
}

Status read_resources(const RowFields& fields, Submission& submission) {
  const auto either = [](std::string_view first, std::string_view second) {
    return says_nothing(first) ? second : first;
  };
  TresParts tres = tres_parts(fields[Field::kTres]);
  Result<std::optional<uint32_t>> cpus = count_of("CPUs", either(fields[Field::kCpus], tres.cpus));
  if (!cpus) return cpus.error();
  Result<std::optional<uint32_t>> nodes =
      count_of("nodes", either(fields[Field::kNodes], tres.nodes));
  if (!nodes) return nodes.error();
  Result<std::optional<uint32_t>> gpus = count_of("GPUs", fields[Field::kGpus]);
  if (!gpus) return gpus.error();
  submission.min_cpus = *cpus;
  submission.min_nodes = *nodes;
  submission.tres_per_job = std::move(tres.gpus);
  if (submission.tres_per_job.empty() && *gpus) {
    submission.tres_per_job = "gres/gpu:" + std::to_string(**gpus);
  }

  std::optional<double> per_cpu_mib;
  if (const std::string_view text = fields[Field::kMemoryPerCpu]; !says_nothing(text)) {
    per_cpu_mib = parse_number(text);
    if (!per_cpu_mib || *per_cpu_mib < 0) return bad("memory per CPU", text);
  } else {
    Result<std::optional<double>> shared = memory_per_cpu_mib(
        either(fields[Field::kMemory], tres.memory), cpus->value_or(1), nodes->value_or(1));
    if (!shared) return shared.error();
    per_cpu_mib = *shared;
  }
  constexpr double kMaxMemoryMib = 1e12;  // an exabyte: rounding it overflows nothing
  if (per_cpu_mib && *per_cpu_mib > kMaxMemoryMib) return bad("memory", fields[Field::kMemory]);
  // Zero asks for all of the node's memory: no amount.
  if (per_cpu_mib && *per_cpu_mib > 0) {
    submission.memory_per_cpu_mib =
        static_cast<uint64_t>(std::max(1LL, std::llround(*per_cpu_mib)));
  }
  return Done{};
}

// What only the command line tells. One that is not understood leaves these fields empty: sites
// wrap sbatch, and a row is not bad for it.
void read_submit_line(std::string_view line, Submission& submission) {
  if (says_nothing(line)) return;
  submission.submit_line = line;
  std::vector<std::string> words = split_words(line);
  if (words.empty()) return;
  const std::string_view command = std::string_view(words[0]).substr(words[0].rfind('/') + 1);
  if (command == "srun" || command == "salloc") submission.kind = SubmissionKind::kInteractive;
  if (command != "sbatch") return;
  words.erase(words.begin());
  Submission asked;
  asked.submit_time_s = submission.submit_time_s;  // what "now+1hour" counts from
  if (!apply_command_line(words, asked).ok()) return;
  submission.argv = std::move(asked.argv);
  submission.array = std::move(asked.array);
  submission.dependency = std::move(asked.dependency);
  if (submission.features.empty()) submission.features = std::move(asked.features);
  // The policy asks for these when past submissions are decided again.
  submission.time_min_min = asked.time_min_min;
  submission.deadline_s = asked.deadline_s;
  submission.warn_time_s = asked.warn_time_s;
  submission.warn_signal = asked.warn_signal;
}

}  // namespace

bool says_nothing(std::string_view text) {
  // Source: sacct(1) prints Unknown, None and (null); pandas' to_csv writes nan, NaN and NaT.
  constexpr std::array<std::string_view, 9> kWords = {"",    "Unknown", "None", "(null)", "N/A",
                                                      "nan", "NaN",     "NaT",  "NULL"};
  return text.size() <= 7 && std::find(kWords.begin(), kWords.end(), text) != kWords.end();
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

Result<RowKind> job_of(const RowFields& fields, JobRecord& job) {
  const std::string_view state = fields[Field::kState];
  if (state.empty()) return bad("state", state);
  if (is_live(fields)) return RowKind::kSkipped;
  job.id = fields[Field::kId];
  if (job.id.empty()) return bad("job id", job.id);
  job.outcome = outcome_of(state);

  Result<bool> ran = read_run(fields, job);
  if (!ran) return ran.error();
  if (!*ran) return RowKind::kSkipped;
  Submission& submission = job.submission;
  Result<bool> limited = read_limit(fields, submission);
  if (!limited) return limited.error();
  if (!*limited) return RowKind::kSkipped;

  submission.user = text_of(fields[Field::kUser]);
  submission.group = text_of(fields[Field::kGroup]);
  submission.account = text_of(fields[Field::kAccount]);
  submission.partition = text_of(fields[Field::kPartition]);
  submission.qos = text_of(fields[Field::kQos]);
  submission.name = text_of(fields[Field::kName]);
  submission.work_dir = text_of(fields[Field::kWorkDir]);
  submission.features = text_of(fields[Field::kConstraints]);
  submission.reservation = text_of(fields[Field::kReservation]);
  if (Status resources = read_resources(fields, submission); !resources) {
    return resources.error();
  }
  read_submit_line(fields[Field::kSubmitLine], submission);
  return RowKind::kJob;
}

}  // namespace auspex
