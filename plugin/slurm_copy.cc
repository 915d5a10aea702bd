// SPDX-License-Identifier: Apache-2.0
#include "plugin/slurm_copy.h"

#include <algorithm>
#include <cstring>

#include "ipc/protocol.h"

namespace auspex::plugin {
namespace {

std::string text(const char* from, size_t max_bytes) {
  return from == nullptr ? std::string() : std::string(from, strnlen(from, max_bytes));
}

std::string name(const char* from) {
  return text(from, ipc::kMaxNameBytes);
}

// Slurm's three ways of saying "not asked for", by the field's width.
std::optional<uint32_t> asked(uint32_t value) {
  return value == NO_VAL ? std::nullopt : std::optional<uint32_t>(value);
}

std::optional<uint32_t> asked16(uint16_t value) {
  return value == NO_VAL16 ? std::nullopt : std::optional<uint32_t>(value);
}

std::optional<int64_t> asked_time(time_t value) {
  return value == 0 ? std::nullopt : std::optional<int64_t>(value);
}

std::vector<std::string> arguments(char** argv, uint32_t argc) {
  std::vector<std::string> list;
  if (argv == nullptr) return list;
  const size_t count = std::min<size_t>(argc, ipc::kMaxArguments);
  list.reserve(count);
  for (size_t i = 0; i < count; ++i) list.push_back(name(argv[i]));
  return list;
}

bool is_ours(const char* variable) {
  constexpr size_t kPrefix = sizeof("AUSPEX") - 1;
  return variable != nullptr && std::strncmp(variable, "AUSPEX", kPrefix) == 0 &&
         (variable[kPrefix] == '=' || variable[kPrefix] == '_');
}

std::vector<std::string> own_variables(char** environment, uint32_t size) {
  std::vector<std::string> list;
  if (environment == nullptr || size == NO_VAL) return list;
  for (uint32_t i = 0; i < size && list.size() < ipc::kMaxVariables; ++i) {
    if (is_ours(environment[i])) list.push_back(name(environment[i]));
  }
  return list;
}

void copy_memory(uint64_t pn_min_memory, Submission& out) {
  if (pn_min_memory == NO_VAL64) return;
  if (pn_min_memory & MEM_PER_CPU) {
    out.memory_per_cpu_mib = pn_min_memory & ~static_cast<uint64_t>(MEM_PER_CPU);
  } else {
    out.memory_per_node_mib = pn_min_memory;
  }
}

}  // namespace

Submission copy_submission(const job_desc_msg_t& job, uint32_t submit_uid, int64_t now_s) {
  Submission out;
  // salloc and srun bring neither script nor environment; of a heterogeneous batch job only the
  // first component brings the script, but all bring the environment.
  const bool interactive = job.script == nullptr && job.environment == nullptr;
  out.kind = interactive ? SubmissionKind::kInteractive : SubmissionKind::kBatch;
  out.submit_time_s = now_s;
  out.user = std::to_string(job.user_id == NO_VAL ? submit_uid : job.user_id);
  if (job.group_id != NO_VAL) out.group = std::to_string(job.group_id);

  out.account = name(job.account);
  out.partition = name(job.partition);
  out.qos = name(job.qos);
  out.name = text(job.name, ipc::kMaxTextBytes);
  out.work_dir = text(job.work_dir, ipc::kMaxTextBytes);
  out.submit_line = text(job.submit_line, ipc::kMaxLineBytes);
  out.features = name(job.features);
  out.reservation = name(job.reservation);
  out.dependency = name(job.dependency);
  out.licenses = name(job.licenses);
  out.array = name(job.array_inx);
  out.wckey = name(job.wckey);
  out.comment = text(job.comment, ipc::kMaxTextBytes);
  out.admin_comment = text(job.admin_comment, ipc::kMaxLineBytes);
  out.tres_per_job = name(job.tres_per_job);
  out.tres_per_node = name(job.tres_per_node);
  out.tres_per_socket = name(job.tres_per_socket);
  out.tres_per_task = name(job.tres_per_task);
  out.cpus_per_tres = name(job.cpus_per_tres);
  out.mem_per_tres = name(job.mem_per_tres);
  out.argv = arguments(job.argv, job.argc);
  out.environment = own_variables(job.environment, job.env_size);
  out.script = text(job.script, kMaxScriptBytes);

  out.time_limit_min = asked(job.time_limit);
  out.time_min_min = asked(job.time_min);
  out.num_tasks = asked(job.num_tasks);
  out.cpus_per_task = asked16(job.cpus_per_task);
  out.ntasks_per_node = asked16(job.ntasks_per_node);
  out.min_cpus = asked(job.min_cpus);
  out.pn_min_cpus = asked16(job.pn_min_cpus);
  out.min_nodes = asked(job.min_nodes);
  out.max_nodes = asked(job.max_nodes);
  copy_memory(job.pn_min_memory, out);
  out.begin_time_s = asked_time(job.begin_time);
  out.deadline_s = asked_time(job.deadline);
  out.nice = asked(job.nice);
  out.priority = asked(job.priority);
  out.warn_time_s = job.warn_time == NO_VAL16 ? 0 : job.warn_time;
  out.warn_signal = job.warn_signal == NO_VAL16 ? 0 : job.warn_signal;
  out.exclusive = job.shared == 0;
  out.requeue = job.requeue != NO_VAL16 && job.requeue != 0;
  return out;
}

}  // namespace auspex::plugin
