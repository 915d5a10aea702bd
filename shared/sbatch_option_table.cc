// SPDX-License-Identifier: Apache-2.0
#include "shared/sbatch_option_table.h"

#include <grp.h>
#include <pwd.h>

#include "shared/sbatch_time.h"
#include "shared/sbatch_values.h"
#include "shared/units.h"

namespace auspex {
namespace {

// Source: slurm/slurm.h: NICE_OFFSET; the largest --nice and --priority as sbatch states them.
constexpr int64_t kNiceOffset = 0x80000000;
constexpr int64_t kLargestNice = 2147483645;
constexpr uint32_t kTopPriority = 0xfffffffd;

using Value = std::string_view;
using Draft = SbatchDraft;

// One function for each kind of value; the member it goes to is a template argument.

template <auto Member>
Status set_text(Value value, Draft& draft) {
  draft.submission.*Member = value;
  return Done{};
}

template <auto Member>
Status set_count(Value value, Draft& draft) {
  const Result<uint32_t> number = parse_positive(value);
  if (!number) return number.error();
  draft.submission.*Member = *number;
  return Done{};
}

template <auto Member>
Status set_draft_count(Value value, Draft& draft) {
  const Result<uint32_t> number = parse_positive(value);
  if (!number) return number.error();
  draft.*Member = *number;
  return Done{};
}

template <auto Member>
Status set_limit(Value value, Draft& draft) {
  const Result<uint32_t> minutes = parse_time_limit_min(value);
  if (!minutes) return minutes.error();
  draft.submission.*Member = *minutes == 0 ? kUnlimitedMin : *minutes;  // zero asks for no limit
  return Done{};
}

template <auto Member>
Status set_point_in_time(Value value, Draft& draft) {
  const Result<int64_t> seconds = parse_point_in_time(value, draft.submission.submit_time_s);
  if (!seconds) return seconds.error();
  draft.submission.*Member = *seconds;
  return Done{};
}

template <auto Member>
Status set_flag(Value /*value*/, Draft& draft) {
  draft.*Member = true;
  return Done{};
}

template <bool kTo>
Status set_requeue(Value /*value*/, Draft& draft) {
  draft.submission.requeue = kTo;
  return Done{};
}

Result<uint64_t> memory(Value value, const char* option, Draft& draft) {
  if (!draft.memory_option.empty() && draft.memory_option != option) {
    return wrong_value(value,
                       "comes after " + draft.memory_option + ": only one of the two is possible");
  }
  draft.memory_option = option;
  return parse_sbatch_memory_mib(value);
}

Status set_mem(Value value, Draft& draft) {
  const Result<uint64_t> mib = memory(value, "--mem", draft);
  if (!mib) return mib.error();
  draft.submission.memory_per_node_mib = *mib;
  return Done{};
}

Status set_mem_per_cpu(Value value, Draft& draft) {
  const Result<uint64_t> mib = memory(value, "--mem-per-cpu", draft);
  if (!mib) return mib.error();
  draft.submission.memory_per_cpu_mib = *mib;
  return Done{};
}

Status set_mem_per_gpu(Value value, Draft& draft) {
  const Result<uint64_t> mib = memory(value, "--mem-per-gpu", draft);
  if (!mib) return mib.error();
  draft.submission.mem_per_tres = "gres/gpu:" + std::to_string(*mib);
  return Done{};
}

Status set_cpus_per_gpu(Value value, Draft& draft) {
  const Result<uint32_t> cpus = parse_positive(value);
  if (!cpus) return cpus.error();
  draft.submission.cpus_per_tres = "gres/gpu:" + std::to_string(*cpus);
  return Done{};
}

template <auto Member>
Status set_gpus(Value value, Draft& draft) {
  draft.submission.*Member = prefixed_tres(value, "gres/gpu:");
  return Done{};
}

Status set_gpus_per_node(Value value, Draft& draft) {
  draft.gpus_per_node = prefixed_tres(value, "gres/gpu:");
  return Done{};
}

Status set_gres(Value value, Draft& draft) {
  draft.gres = value == "none" ? "" : prefixed_tres(value, "gres/");
  return Done{};
}

Status set_nodes(Value value, Draft& draft) {
  const Result<NodeRange> nodes = parse_node_range(value);
  if (!nodes) return nodes.error();
  draft.submission.min_nodes = nodes->min;
  draft.submission.max_nodes = nodes->max;
  return Done{};
}

Status set_signal(Value value, Draft& draft) {
  const Result<EndSignal> signal = parse_end_signal(value);
  if (!signal) return signal.error();
  draft.submission.warn_signal = signal->number;
  draft.submission.warn_time_s = signal->seconds_before_end;
  return Done{};
}

Status set_nice(Value value, Draft& draft) {
  constexpr int64_t kDefaultNice = 100;
  const auto nice =
      value.empty() ? kDefaultNice : whole_number<int64_t>(value, -kLargestNice, kLargestNice);
  if (!nice) return wrong_value(value, "is not a whole number within +/- 2147483645");
  draft.submission.nice = static_cast<uint32_t>(kNiceOffset + *nice);
  return Done{};
}

Status set_priority(Value value, Draft& draft) {
  const auto priority = value == "top" || value == "TOP"
                            ? kTopPriority
                            : whole_number<uint32_t>(value, 0, kTopPriority);
  if (!priority) return wrong_value(value, "is not a priority (0 to 4294967293, TOP)");
  draft.submission.priority = *priority;
  return Done{};
}

Status set_exclusive(Value value, Draft& draft) {
  if (!value.empty() && value != "user" && value != "mcs" && value != "topo") {
    return wrong_value(value, "is not known; allowed: user, mcs, topo");
  }
  draft.submission.exclusive = value.empty();  // with a value, nodes are shared with one's own jobs
  return Done{};
}

Status set_uid(Value value, Draft& draft) {
  if (whole_number<uint32_t>(value, 0, 0xfffffffd))
    return set_text<&Submission::user>(value, draft);
  const passwd* entry = getpwnam(std::string(value).c_str());
  if (entry == nullptr) return wrong_value(value, "is not a user of this machine");
  draft.submission.user = std::to_string(entry->pw_uid);
  return Done{};
}

Status set_gid(Value value, Draft& draft) {
  if (whole_number<uint32_t>(value, 0, 0xfffffffd))
    return set_text<&Submission::group>(value, draft);
  const group* entry = getgrnam(std::string(value).c_str());
  if (entry == nullptr) return wrong_value(value, "is not a group of this machine");
  draft.submission.group = std::to_string(entry->gr_gid);
  return Done{};
}

Status set_export(Value value, Draft& draft) {
  draft.exported = value;
  return Done{};
}

Status set_wrap(Value value, Draft& draft) {
  draft.wrap = value;
  return Done{};
}

constexpr auto kNo = TakesValue::kNo;
constexpr auto kRequired = TakesValue::kRequired;
constexpr auto kOptional = TakesValue::kOptional;

constexpr SbatchOption kOptions[] = {
    {"account", 'A', kRequired, set_text<&Submission::account>},
    {"acctg-freq", 0, kRequired, nullptr},
    {"array", 'a', kRequired, set_text<&Submission::array>},
    {"batch", 0, kRequired, nullptr},
    {"bb", 0, kRequired, nullptr},
    {"bbf", 0, kRequired, nullptr},
    {"begin", 'b', kRequired, set_point_in_time<&Submission::begin_time_s>},
    {"chdir", 'D', kRequired, set_text<&Submission::work_dir>},
    {"cluster", 0, kRequired, nullptr},
    {"cluster-constraint", 0, kRequired, nullptr},
    {"clusters", 'M', kRequired, nullptr},
    {"comment", 0, kRequired, set_text<&Submission::comment>},
    {"consolidate-segments", 0, kNo, nullptr},
    {"constraint", 'C', kRequired, set_text<&Submission::features>},
    {"container", 0, kRequired, nullptr},
    {"container-id", 0, kRequired, nullptr},
    {"context", 0, kRequired, nullptr},
    {"contiguous", 0, kNo, nullptr},
    {"core-spec", 'S', kRequired, nullptr},
    {"cores-per-socket", 0, kRequired, nullptr},
    {"cpu-freq", 0, kRequired, nullptr},
    {"cpus-per-gpu", 0, kRequired, set_cpus_per_gpu},
    {"cpus-per-task", 'c', kRequired, set_count<&Submission::cpus_per_task>},
    {"deadline", 0, kRequired, set_point_in_time<&Submission::deadline_s>},
    {"delay-boot", 0, kRequired, nullptr},
    {"dependency", 'd', kRequired, set_text<&Submission::dependency>},
    {"distribution", 'm', kRequired, nullptr},
    {"error", 'e', kRequired, nullptr},
    {"exclude", 'x', kRequired, nullptr},
    {"exclusive", 0, kOptional, set_exclusive},
    {"export", 0, kRequired, set_export},
    {"export-file", 0, kRequired, nullptr},
    {"extra", 0, kRequired, nullptr},
    {"extra-node-info", 'B', kRequired, nullptr},
    {"get-user-env", 0, kOptional, nullptr},
    {"gid", 0, kRequired, set_gid},
    {"gpu-bind", 0, kRequired, nullptr},
    {"gpu-freq", 0, kRequired, nullptr},
    {"gpus", 'G', kRequired, set_gpus<&Submission::tres_per_job>},
    {"gpus-per-node", 0, kRequired, set_gpus_per_node},
    {"gpus-per-socket", 0, kRequired, set_gpus<&Submission::tres_per_socket>},
    {"gpus-per-task", 0, kRequired, set_gpus<&Submission::tres_per_task>},
    {"gres", 0, kRequired, set_gres},
    {"gres-flags", 0, kRequired, nullptr},
    {"help", 'h', kNo, nullptr},
    {"hint", 0, kRequired, nullptr},
    {"hold", 'H', kNo, set_flag<&SbatchDraft::hold>},
    {"ignore-pbs", 0, kNo, nullptr},
    {"input", 'i', kRequired, nullptr},
    {"job-name", 'J', kRequired, set_text<&Submission::name>},
    {"kill-on-invalid-dep", 0, kRequired, nullptr},
    {"licenses", 'L', kRequired, set_text<&Submission::licenses>},
    {"mail-type", 0, kRequired, nullptr},
    {"mail-user", 0, kRequired, nullptr},
    {"mcs-label", 0, kRequired, nullptr},
    {"mem", 0, kRequired, set_mem},
    {"mem-bind", 0, kRequired, nullptr},
    {"mem-per-cpu", 0, kRequired, set_mem_per_cpu},
    {"mem-per-gpu", 0, kRequired, set_mem_per_gpu},
    {"mincpus", 0, kRequired, set_draft_count<&SbatchDraft::min_cpus_per_node>},
    {"network", 0, kRequired, nullptr},
    {"nice", 0, kOptional, set_nice},
    {"no-kill", 'k', kOptional, nullptr},
    {"no-requeue", 0, kNo, set_requeue<false>},
    {"nodefile", 'F', kRequired, nullptr},
    {"nodelist", 'w', kRequired, nullptr},
    {"nodes", 'N', kRequired, set_nodes},
    {"ntasks", 'n', kRequired, set_draft_count<&SbatchDraft::tasks>},
    {"ntasks-per-core", 0, kRequired, nullptr},
    {"ntasks-per-gpu", 0, kRequired, nullptr},
    {"ntasks-per-node", 0, kRequired, set_count<&Submission::ntasks_per_node>},
    {"ntasks-per-socket", 0, kRequired, nullptr},
    {"ntasks-per-tres", 0, kRequired, nullptr},
    {"oom-kill-step", 0, kOptional, nullptr},
    {"open-mode", 0, kRequired, nullptr},
    {"output", 'o', kRequired, nullptr},
    {"overcommit", 'O', kNo, set_flag<&SbatchDraft::overcommit>},
    {"oversubscribe", 's', kNo, nullptr},
    {"parsable", 0, kNo, nullptr},
    {"partition", 'p', kRequired, set_text<&Submission::partition>},
    {"power", 0, kRequired, nullptr},
    {"prefer", 0, kRequired, nullptr},
    {"priority", 0, kRequired, set_priority},
    {"profile", 0, kRequired, nullptr},
    {"propagate", 0, kOptional, nullptr},
    {"qos", 'q', kRequired, set_text<&Submission::qos>},
    {"quiet", 'Q', kNo, nullptr},
    {"reboot", 0, kNo, nullptr},
    {"requeue", 0, kNo, set_requeue<true>},
    {"reservation", 0, kRequired, set_text<&Submission::reservation>},
    {"resv-ports", 0, kOptional, nullptr},
    {"segment", 0, kRequired, nullptr},
    {"signal", 0, kRequired, set_signal},
    {"sockets-per-node", 0, kRequired, nullptr},
    {"spread-job", 0, kNo, nullptr},
    {"spread-segments", 0, kNo, nullptr},
    {"stepmgr", 0, kNo, nullptr},
    {"switches", 0, kRequired, nullptr},
    {"tasks-per-node", 0, kRequired, set_count<&Submission::ntasks_per_node>},
    {"test-only", 0, kNo, nullptr},
    {"thread-spec", 0, kRequired, nullptr},
    {"threads-per-core", 0, kRequired, nullptr},
    {"time", 't', kRequired, set_limit<&Submission::time_limit_min>},
    {"time-min", 0, kRequired, set_limit<&Submission::time_min_min>},
    {"tmp", 0, kRequired, nullptr},
    {"tres-bind", 0, kRequired, nullptr},
    {"tres-per-task", 0, kRequired, set_text<&Submission::tres_per_task>},
    {"uid", 0, kRequired, set_uid},
    {"usage", 0, kNo, nullptr},
    {"use-min-nodes", 0, kNo, nullptr},
    {"verbose", 'v', kNo, nullptr},
    {"version", 'V', kNo, nullptr},
    {"wait", 'W', kNo, nullptr},
    {"wait-all-nodes", 0, kRequired, nullptr},
    {"wckey", 0, kRequired, set_text<&Submission::wckey>},
    {"wrap", 0, kRequired, set_wrap},
};

}  // namespace

std::span<const SbatchOption> sbatch_options() {
  return kOptions;
}

}  // namespace auspex
