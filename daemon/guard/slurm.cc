// SPDX-License-Identifier: Apache-2.0
#include "daemon/guard/slurm.h"

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <memory>

#include "ipc/protocol.h"
#include "shared/units.h"

namespace auspex {
namespace {

template <class Message, void (*Free)(Message*)>
struct Freed {
  void operator()(Message* message) const { Free(message); }
};
using Conf = std::unique_ptr<slurm_conf_t, Freed<slurm_conf_t, slurm_free_ctl_conf>>;
using Partitions = std::unique_ptr<partition_info_msg_t,
                                   Freed<partition_info_msg_t, slurm_free_partition_info_msg>>;
using Reservations =
    std::unique_ptr<reserve_info_msg_t, Freed<reserve_info_msg_t, slurm_free_reservation_info_msg>>;
using Nodes = std::unique_ptr<node_info_msg_t, Freed<node_info_msg_t, slurm_free_node_info_msg>>;
using Jobs = std::unique_ptr<job_info_msg_t, Freed<job_info_msg_t, slurm_free_job_info_msg>>;

// What the protocol carries; see ipc/protocol.h.
constexpr uint32_t kMostPartitions = ipc::kMaxPartitions;

std::string text(const char* from) {
  return from == nullptr ? std::string() : std::string(from);
}

SlurmError last_error() {
  const int number = errno;
  return {number, text(slurm_strerror(number))};
}

Error not_answered(const char* what) {
  return Error{std::string(what) + ": " + last_error().text};
}

// Asks for what changed since `loaded`; keeps it when nothing did.
template <class Holder, class Load>
bool refresh(Holder& loaded, const Load& load) {
  typename Holder::pointer fresh = nullptr;
  const time_t since = loaded ? loaded->last_update : 0;
  if (load(since, &fresh) == SLURM_SUCCESS) {
    loaded.reset(fresh);
    return true;
  }
  return loaded && errno == SLURM_NO_CHANGE_IN_DATA;
}

// "22.05.8" as SLURM_VERSION_NUM has it.
uint32_t version_number(const char* version) {
  uint32_t number = 0;
  const char* at = version;
  const char* end = version + std::strlen(version);
  for (int shift = 16; shift >= 0; shift -= 8) {
    uint32_t part = 0;
    const auto [stop, failure] = std::from_chars(at, end, part);
    if (failure != std::errc()) break;
    number |= part << shift;
    at = stop == end ? end : stop + 1;
  }
  return number;
}

bool holds_word(const char* list, std::string_view word) {
  const auto words = split_list(list == nullptr ? "" : list);
  return std::find(words.begin(), words.end(), word) != words.end();
}

// Lists of pairs first, last, up to a -1. Source: slurm.h, node_inx.
bool overlap(const int32_t* a, const int32_t* b) {
  if (a == nullptr || b == nullptr) return false;
  for (const int32_t* i = a; *i >= 0; i += 2) {
    for (const int32_t* j = b; *j >= 0; j += 2) {
      if (i[0] <= j[1] && j[0] <= i[1]) return true;
    }
  }
  return false;
}

// Of the nodes at these places; with more than are left, none is told: a type that is not known
// to be there is not asked for.
std::vector<std::string> gpu_types_in(const int32_t* places, const node_info_msg_t& nodes,
                                      size_t& left) {
  std::vector<std::string> types;
  for (const int32_t* range = places; range != nullptr && *range >= 0; range += 2) {
    for (int32_t i = range[0]; i <= range[1] && i < static_cast<int32_t>(nodes.record_count); ++i) {
      const char* gres = nodes.node_array[i].gres;
      for (std::string& type : gpu_types_of(gres == nullptr ? "" : gres)) {
        if (std::find(types.begin(), types.end(), type) == types.end()) {
          types.push_back(std::move(type));
        }
      }
    }
  }
  if (types.size() > left) return {};
  left -= types.size();
  return types;
}

bool blocks(const reserve_info_t& reservation, time_t now) {
  return reservation.start_time > now && (reservation.flags & RESERVE_FLAG_TIME_FLOAT) == 0;
}

JobPhase phase_of(const slurm_job_info_t& job) {
  // It will be there again, whatever its base state is for the moment.
  if ((job.job_state & (JOB_REQUEUE | JOB_REQUEUE_HOLD | JOB_SPECIAL_EXIT)) != 0) {
    return JobPhase::kPending;
  }
  switch (job.job_state & JOB_STATE_BASE) {
    case JOB_PENDING:
      return JobPhase::kPending;
    case JOB_RUNNING:
      return JobPhase::kRunning;
    case JOB_SUSPENDED:
      return JobPhase::kSuspended;
    default:
      return JobPhase::kEnded;
  }
}

Outcome outcome_of(const slurm_job_info_t& job) {
  switch (job.job_state & JOB_STATE_BASE) {
    case JOB_COMPLETE:
      return Outcome::kCompleted;
    case JOB_CANCELLED:
      return Outcome::kCancelled;
    case JOB_TIMEOUT:
      return Outcome::kTimeout;
    case JOB_FAILED:
    case JOB_OOM:
      return Outcome::kFailed;
    default:
      return Outcome::kOther;
  }
}

// Suspended now: pre_sus_time is all it ran; resumed: what it ran before, and since suspend_time.
// Source: slurm.h, tried with scontrol suspend and resume.
double runtime_of(const slurm_job_info_t& job) {
  if (job.start_time == 0 || job.end_time <= job.start_time) return 0;
  const double whole = std::difftime(job.end_time, job.start_time);
  if (job.suspend_time <= job.start_time) return whole;
  return static_cast<double>(job.pre_sus_time) + std::difftime(job.end_time, job.suspend_time);
}

std::optional<uint32_t> given(uint32_t value) {
  return value == NO_VAL || value == INFINITE ? std::nullopt : std::optional<uint32_t>(value);
}

std::optional<uint32_t> given16(uint16_t value) {
  return value == NO_VAL16 || value == INFINITE16 || value == 0 ? std::nullopt
                                                                : std::optional<uint32_t>(value);
}

const slurm_job_info_t& info(const void* row) {
  return *static_cast<const slurm_job_info_t*>(row);
}

}  // namespace

size_t Sweep::size() const {
  return static_cast<const job_info_msg_t*>(jobs_.get())->record_count;
}

SeenJob Sweep::operator[](size_t index) const {
  return SeenJob(&static_cast<const job_info_msg_t*>(jobs_.get())->job_array[index]);
}

JobState SeenJob::state() const {
  const slurm_job_info_t& job = info(row_);
  JobState state;
  state.id = job.job_id;
  state.array_id = job.array_job_id;
  state.user = job.user_id;
  state.phase = phase_of(job);
  state.held = job.priority == 0;
  state.site_factor = static_cast<int32_t>(job.site_factor - NICE_OFFSET);
  state.limit_min = job.time_limit;
  state.submit_s = job.submit_time;
  state.start_s = state.phase == JobPhase::kPending ? 0 : job.start_time;
  state.end_s = job.end_time;
  if (state.phase == JobPhase::kEnded) state.runtime_s = runtime_of(job);
  state.outcome = outcome_of(job);
  state.partition = text(job.partition);
  state.admin_comment = text(job.admin_comment);
  state.audit = find_audit(state.admin_comment);
  return state;
}

Submission SeenJob::submission() const {
  const slurm_job_info_t& job = info(row_);
  Submission s;
  s.kind = job.batch_flag != 0 ? SubmissionKind::kBatch : SubmissionKind::kInteractive;
  s.submit_time_s = job.submit_time;
  s.user = std::to_string(job.user_id);
  s.group = std::to_string(job.group_id);
  s.account = text(job.account);
  s.partition = text(job.partition);
  s.qos = text(job.qos);
  s.name = text(job.name);
  s.work_dir = text(job.work_dir);
  s.features = text(job.features);
  s.reservation = text(job.resv_name);
  s.dependency = text(job.dependency);
  s.array = text(job.array_task_str);
  s.comment = text(job.comment);
  s.admin_comment = text(job.admin_comment);
  s.tres_per_job = text(job.tres_per_job);
  s.tres_per_node = text(job.tres_per_node);
  s.tres_per_socket = text(job.tres_per_socket);
  s.tres_per_task = text(job.tres_per_task);
  if (job.command != nullptr) s.argv.push_back(job.command);
  s.time_limit_min = job.time_limit == NO_VAL ? std::nullopt : std::optional(job.time_limit);
  if (job.time_min != 0) s.time_min_min = given(job.time_min);
  s.num_tasks = given(job.num_tasks);
  s.cpus_per_task = given16(job.cpus_per_task);
  s.ntasks_per_node = given16(job.ntasks_per_node);
  s.min_cpus = given(job.num_cpus);
  s.min_nodes = given(job.num_nodes);
  if (job.pn_min_memory != NO_VAL64 && job.pn_min_memory != 0) {
    const uint64_t memory = job.pn_min_memory & ~static_cast<uint64_t>(MEM_PER_CPU);
    (job.pn_min_memory & MEM_PER_CPU ? s.memory_per_cpu_mib : s.memory_per_node_mib) = memory;
  }
  if (job.deadline != 0) s.deadline_s = job.deadline;
  return s;
}

struct Slurm::Loaded {
  Conf conf;
  Partitions partitions;
  Reservations reservations;
  Nodes nodes;
  time_t jobs_update = 0;
};

Slurm Slurm::open() {
  slurm_init(nullptr);
  return Slurm();
}

Slurm::Slurm() : loaded_(std::make_unique<Loaded>()) {}
Slurm::Slurm(Slurm&&) noexcept = default;
Slurm::~Slurm() = default;

bool Slurm::is_privileged() const {
  const uid_t uid = ::geteuid();
  return uid == 0 || (loaded_->conf && uid == loaded_->conf->slurm_user_id);
}

std::string Slurm::plugins_behind() const {
  const std::string all = loaded_->conf ? text(loaded_->conf->job_submit_plugins) : "";
  const auto words = split_list(all);
  const auto ours = std::find(words.begin(), words.end(), "auspex");
  if (ours == words.end() || ours + 1 == words.end()) return "";
  return std::string((ours + 1)->data(), all.data() + all.size());
}

Result<Site> Slurm::site() {
  if (!refresh(loaded_->conf, slurm_load_ctl_conf)) return not_answered("configuration");
  const auto load_partitions = [](time_t since, partition_info_msg_t** to) {
    return slurm_load_partitions(since, to, SHOW_ALL);
  };
  if (!refresh(loaded_->partitions, load_partitions)) return not_answered("partitions");
  if (!refresh(loaded_->reservations, slurm_load_reservations)) return not_answered("reservations");
  const auto load_nodes = [](time_t since, node_info_msg_t** to) {
    return slurm_load_node(since, to, SHOW_ALL);
  };
  if (!refresh(loaded_->nodes, load_nodes)) return not_answered("nodes");

  size_t types_left = ipc::kMaxGpuTypes;
  Site site;
  site.slurm_version = version_number(loaded_->conf->version);
  site.soft_limits = holds_word(loaded_->conf->sched_params, "time_min_as_soft_limit");
  const time_t now = std::time(nullptr);
  for (uint32_t i = 0; i < loaded_->partitions->record_count; ++i) {
    const partition_info_t& partition = loaded_->partitions->partition_array[i];
    if (i >= kMostPartitions) {
      return Error{std::to_string(loaded_->partitions->record_count) + " partitions, at most " +
                   std::to_string(kMostPartitions) + " are followed"};
    }
    site.partitions.push_back({text(partition.name), partition.max_time,
                               given(partition.default_time),
                               (partition.flags & PART_FLAG_DEFAULT) != 0,
                               gpu_types_in(partition.node_inx, *loaded_->nodes, types_left)});
    std::optional<time_t> first;  // one that comes later matters when this one has begun
    for (uint32_t j = 0; j < loaded_->reservations->record_count; ++j) {
      const reserve_info_t& reservation = loaded_->reservations->reservation_array[j];
      if (!blocks(reservation, now) || !overlap(partition.node_inx, reservation.node_inx)) continue;
      first = std::min(first.value_or(reservation.start_time), reservation.start_time);
    }
    if (first) site.blockages.push_back({text(partition.name), *first});
  }
  return site;
}

Result<std::optional<Sweep>> Slurm::sweep(bool only_changed) {
  job_info_msg_t* loaded = nullptr;
  const time_t since = only_changed ? loaded_->jobs_update : 0;
  if (slurm_load_jobs(since, &loaded, SHOW_ALL | SHOW_DETAIL) != SLURM_SUCCESS) {
    if (errno == SLURM_NO_CHANGE_IN_DATA) return std::optional<Sweep>();
    return not_answered("jobs");
  }
  loaded_->jobs_update = loaded->last_update;
  Sweep sweep;
  sweep.jobs_ = std::shared_ptr<job_info_msg_t>(loaded, slurm_free_job_info_msg);
  return std::optional(std::move(sweep));
}

Result<std::optional<JobState>> Slurm::look(uint32_t id) {
  job_info_msg_t* loaded = nullptr;
  if (slurm_load_job(&loaded, id, SHOW_ALL) != SLURM_SUCCESS) {
    if (errno == ESLURM_INVALID_JOB_ID) return std::optional<JobState>();
    return not_answered("job");
  }
  const Jobs jobs(loaded);
  for (uint32_t i = 0; i < jobs->record_count; ++i) {
    if (jobs->job_array[i].job_id == id) {
      return std::optional(SeenJob(&jobs->job_array[i]).state());
    }
  }
  return std::optional<JobState>();
}

// By its number, which is one task of an array; by its text it would be the whole array.
std::optional<SlurmError> Slurm::update(uint32_t id, JobChange change) {
  job_desc_msg_t message;
  slurm_init_job_desc_msg(&message);
  message.job_id = id;
  if (change.limit_min) message.time_limit = *change.limit_min;
  if (change.site_factor) {
    message.site_factor = NICE_OFFSET + static_cast<uint32_t>(*change.site_factor);
  }
  if (change.admin_comment) message.admin_comment = change.admin_comment->data();
  if (slurm_update_job(&message) == SLURM_SUCCESS) return std::nullopt;
  return last_error();
}

bool Slurm::is_denied(const SlurmError& error) {
  return error.number == ESLURM_ACCESS_DENIED || error.number == ESLURM_USER_ID_MISSING;
}

bool Slurm::is_over(const SlurmError& error) {
  return error.number == ESLURM_INVALID_JOB_ID || error.number == ESLURM_JOB_FINISHED ||
         error.number == ESLURM_ALREADY_DONE;
}

}  // namespace auspex
