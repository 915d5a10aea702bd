// SPDX-License-Identifier: Apache-2.0
#include "shared/features.h"

#include <xxhash.h>

#include <cctype>
#include <cmath>
#include <ctime>
#include <limits>
#include <string>

#include "shared/units.h"

namespace auspex {
namespace {

// The field's index seeds the hash, so that one lookup table serves all fields.
uint64_t hash_of(size_t field, std::string_view value) {
  if (value.empty()) return Features::kMissing;
  const uint64_t hash = XXH3_64bits_withSeed(value.data(), value.size(), field + 1);
  return hash == Features::kMissing ? 1 : hash;
}

// "train-042_v7" -> "train-#_v#": runs of one series share a name.
std::string stem(std::string_view name) {
  std::string out;
  out.reserve(name.size());
  for (const char c : name) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) {
      out += c;
    } else if (out.empty() || out.back() != '#') {
      out += '#';
    }
  }
  return out;
}

std::string_view base_name(std::string_view path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// The first four components: /project/group/user/study, below which runs have folders of their own.
std::string_view project_of(std::string_view work_dir) {
  size_t end = 0;
  for (int depth = 0; depth < 4 && end < work_dir.size(); ++depth) {
    end = std::min(work_dir.find('/', end + 1), work_dir.size());
  }
  return work_dir.substr(0, end);
}

std::string hour_of(int64_t submit_time_s) {
  const auto time = static_cast<time_t>(submit_time_s);
  tm local{};
  localtime_r(&time, &local);
  return std::to_string(local.tm_hour);
}

std::string_view script_of(const Submission& submission) {
  return submission.argv.empty() ? std::string_view() : base_name(submission.argv.front());
}

// Equal requests of a user tend to be equal jobs: the strongest single category without history.
std::string request_of(const Submission& submission, const Resources& resources) {
  const auto general = [](double value) { return format_general(value, 6) + '|'; };
  return std::to_string(submission.time_limit_min.value_or(0)) + '|' + general(resources.cpus) +
         general(resources.nodes) + general(resources.gpus) +
         format_whole(resources.memory_per_cpu_mib.value_or(-1)) + '|' + resources.gpu_type;
}

float log_or_missing(std::optional<double> value) {
  return value ? static_cast<float>(std::log1p(*value)) : std::numeric_limits<float>::quiet_NaN();
}

}  // namespace

Features features_of(const Submission& s) {
  const Resources resources = requested_resources(s);
  const std::string request = request_of(s, resources);
  const auto with_request = [&request](const std::string& owner) {
    return owner.empty() ? std::string() : owner + '|' + request;
  };

  Features out;
  const auto set = [&out](Category field, std::string_view value) {
    const auto index = static_cast<size_t>(field);
    out.category[index] = hash_of(index, value);
  };
  set(Category::kUser, s.user);
  set(Category::kGroup, s.group);
  set(Category::kAccount, s.account);
  set(Category::kPartition, s.partition);
  set(Category::kQos, s.qos);
  set(Category::kNameStem, stem(s.name));
  set(Category::kApplication, stem(script_of(s)));
  set(Category::kWorkDir, project_of(s.work_dir));
  set(Category::kFeature, s.features);
  set(Category::kGpuType, resources.gpu_type);
  set(Category::kHour, hour_of(s.submit_time_s));
  set(Category::kRequest, request);
  set(Category::kUserRequest, with_request(s.user));
  set(Category::kAccountRequest, with_request(s.account));

  const auto limit = s.time_limit_min && *s.time_limit_min != kUnlimitedMin
                         ? std::optional<double>(*s.time_limit_min)
                         : std::nullopt;
  out.number = {log_or_missing(limit),           log_or_missing(resources.cpus),
                log_or_missing(resources.nodes), log_or_missing(resources.memory_per_cpu_mib),
                log_or_missing(resources.gpus),  log_or_missing(resources.array_tasks)};
  return out;
}

}  // namespace auspex
