// SPDX-License-Identifier: Apache-2.0
// Site: what is known of the running Slurm and of the guard, beside the configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace auspex {

struct Partition {
  std::string name = {};
  uint32_t max_min = 0;                      // kUnlimitedMin: none
  std::optional<uint32_t> default_min = {};  // what a job gets that asks for no limit
  bool is_default = false;                   // where a job goes that asks for no partition
  std::vector<std::string> gpu_types = {};   // GRES types of its nodes' GPUs

  bool operator==(const Partition&) const = default;
};

// A reservation that will keep other jobs off nodes of a partition.
struct Blockage {
  std::string partition = {};
  int64_t start_s = 0;  // seconds since the epoch

  bool operator==(const Blockage&) const = default;
};

struct Site {
  // SLURM_VERSION_NUMBER: major << 16 | minor << 8 | micro. 0: not known.
  uint32_t slurm_version = 0;
  bool soft_limits = false;  // SchedulerParameters=time_min_as_soft_limit
  std::vector<Partition> partitions = {};
  std::vector<Blockage> blockages = {};
  // Why no limit may be tightened that somebody would have to extend; nothing: the guard stands.
  std::optional<std::string> guard_fault = {};

  bool operator==(const Site&) const = default;
};

// Of a node's GRES, "gpu:1g.5gb:4(S:0),gpu:a100:2,nic:1": the GPUs' types, each once.
std::vector<std::string> gpu_types_of(std::string_view gres);

// The words of a list with commas.
std::vector<std::string_view> split_list(std::string_view text);

// Where a job may go that asks for "a,b", for one partition, or for none and goes to the default.
// Empty: none is asked for, and the default is not known. Views of the arguments.
std::vector<std::string_view> partition_names(const Site& site, std::string_view asked);

// nullptr: not known.
const Partition* find_partition(const Site& site, std::string_view name);

// The least of their time limits; kUnlimitedMin: none, or not known.
uint32_t most_min(const Site& site, std::string_view asked);

// Whether a reservation begins in one of them after `from_s` and before `until_s`.
bool blockage_between(const Site& site, std::string_view asked, int64_t from_s, int64_t until_s);

}  // namespace auspex
