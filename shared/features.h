// SPDX-License-Identifier: Apache-2.0
// Features: a submission as 14 categories and 6 numbers, the paper's one-hot input before the
// one-hot. Source: ALICE runtime prediction (Lelek et al. 2025), section 3.1.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/submission.h"

namespace auspex {

inline constexpr std::array<std::string_view, 14> kCategoryNames = {
    "user",     "group",   "account",  "partition", "qos",     "name_stem",    "application",
    "work_dir", "feature", "gpu_type", "hour",      "request", "user_request", "account_request"};
inline constexpr std::array<std::string_view, 6> kNumberNames = {
    "log_time_limit_min",     "log_cpus", "log_nodes",
    "log_memory_per_cpu_mib", "log_gpus", "log_array_tasks"};
inline constexpr size_t kCategoryCount = kCategoryNames.size();
inline constexpr size_t kNumberCount = kNumberNames.size();
// Positions in the arrays above.
enum class Category : uint8_t {
  kUser,
  kGroup,
  kAccount,
  kPartition,
  kQos,
  kNameStem,
  kApplication,
  kWorkDir,
  kFeature,
  kGpuType,
  kHour,
  kRequest,
  kUserRequest,
  kAccountRequest
};
enum class Number : uint8_t { kTimeLimit, kCpus, kNodes, kMemoryPerCpu, kGpus, kArrayTasks };

// Changes whenever a feature is computed differently: a model of another version is refused.
inline constexpr uint32_t kFeatureVersion = 1;

// The text of a category is kept as a 64-bit hash only: no user name or path enters a model file.
struct Features {
  static constexpr uint64_t kMissing = 0;
  std::array<uint64_t, kCategoryCount> category{};  // kMissing where the submission says nothing
  std::array<float, kNumberCount> number{};         // NaN where the submission says nothing
};

Features features_of(const Submission& submission);

}  // namespace auspex
