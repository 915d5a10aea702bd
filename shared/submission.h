// SPDX-License-Identifier: Apache-2.0
// Submission: what a user asked for, as slurmctld shows it to a job_submit plugin.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace auspex {

// The first bytes of a job script that travel to the daemon; directives below are not seen.
inline constexpr size_t kMaxScriptBytes = size_t{32} * 1024;

enum class SubmissionKind : uint8_t { kBatch = 0, kInteractive = 1 };

// An empty string or an empty optional means "not asked for". Texts are bytes as the user typed
// them: any encoding, no NUL, already cut to the limits of the wire (ipc/PROTOCOL.md).
// Source: job_desc_msg_t in slurm/slurm.h, 22.05 to 25.11.
struct Submission {
  SubmissionKind kind = SubmissionKind::kBatch;
  int64_t submit_time_s = 0;  // seconds since the epoch
  std::string user;           // the numeric uid online; whatever the history names users by offline
  std::string group;

  std::string account, partition, qos, name, work_dir, submit_line;
  std::string features, reservation, dependency, licenses, array, wckey;
  std::string comment, admin_comment;
  std::string tres_per_job, tres_per_node, tres_per_socket, tres_per_task;
  std::string cpus_per_tres, mem_per_tres;
  std::vector<std::string> argv;         // the script or command and its arguments
  std::vector<std::string> environment;  // only AUSPEX_* and AUSPEX=, "NAME=value"
  std::string script;                    // at most kMaxScriptBytes

  std::optional<uint32_t> time_limit_min, time_min_min;
  std::optional<uint32_t> num_tasks, cpus_per_task, ntasks_per_node, min_cpus, pn_min_cpus;
  std::optional<uint32_t> min_nodes, max_nodes;
  std::optional<uint64_t> memory_per_node_mib, memory_per_cpu_mib;
  std::optional<int64_t> begin_time_s, deadline_s;
  std::optional<uint32_t> nice, priority;
  uint32_t warn_time_s = 0;  // --signal: seconds before the end; 0 = not asked
  uint32_t warn_signal = 0;
  bool exclusive = false;
  bool requeue = false;
};

// What the request adds up to. Missing counts take Slurm's defaults: one node, one task, one CPU.
struct Resources {
  double cpus = 1;
  double nodes = 1;
  double gpus = 0;
  double array_tasks = 1;
  std::optional<double> memory_per_cpu_mib;
  std::string gpu_type;  // "a100", "1g.5gb"; empty when untyped or no GPU
};

Resources requested_resources(const Submission& submission);

// `#AUSPEX ...` lines of the script's head and AUSPEX* of the environment; the environment wins.
struct Directives {
  bool off = false;
  std::string model;                    // model=resnet50.onnx
  std::optional<uint32_t> batch;        // batch=32
  std::string input;                    // input=3x224x224
  std::string mode, format, optimizer;  // mode=training format=fp32 optimizer=adam
};

// Lines are looked at from the top to the first line that is neither blank nor a comment, as
// sbatch does with #SBATCH. Never fails: what it does not understand it leaves out.
Directives directives_of(const Submission& submission);

}  // namespace auspex
