// SPDX-License-Identifier: Apache-2.0
#include "shared/history/past.h"

#include <bit>
#include <cmath>
#include <initializer_list>
#include <limits>

#include "shared/submission.h"
#include "shared/units.h"

namespace auspex {
namespace {

// Source: the finaliser of splitmix64 (Steele, Lea, Flood 2014).
uint64_t mixed(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

uint64_t key_of(HistoryKey kind, std::initializer_list<uint64_t> parts) {
  uint64_t key = mixed(static_cast<uint64_t>(kind) + 0x9e3779b97f4a7c15ULL);
  for (const uint64_t part : parts) key = mixed(key + part + 0x9e3779b97f4a7c15ULL);
  return key == 0 ? 1 : key;
}

uint64_t bits_of(float number) {
  return std::isnan(number) ? 0 : uint64_t{std::bit_cast<uint32_t>(number)} + 1;
}

}  // namespace

HistoryRequest history_request_of(const Submission& submission) {
  const uint32_t limit_min = submission.time_limit_min.value_or(kUnlimitedMin);
  return {features_of(submission), submission.submit_time_s,
          limit_min == kUnlimitedMin ? std::numeric_limits<double>::infinity() : 60.0 * limit_min};
}

HistoryJob history_job_of(const JobRecord& record) {
  HistoryJob job;
  job.request = history_request_of(record.submission);
  job.start_s = record.start_s;
  job.end_s = record.end_s;
  job.runtime_s = record.runtime_s;
  job.ending = Ending::kFailed;
  if (record.outcome == Outcome::kCompleted) job.ending = Ending::kDone;
  if (record.outcome == Outcome::kTimeout || job.runtime_s >= job.request.limit_s) {
    job.ending = Ending::kAtLimit;
  }
  job.nodes = static_cast<float>(requested_resources(record.submission).nodes);
  return job;
}

HistoryKeys history_keys(const Features& f) {
  const auto category = [&f](Category field) { return f.category[static_cast<size_t>(field)]; };
  const auto number = [&f](Number field) { return bits_of(f.number[static_cast<size_t>(field)]); };
  const uint64_t user = category(Category::kUser), account = category(Category::kAccount);
  const uint64_t owner = user != Features::kMissing ? user : account;
  const uint64_t group = category(Category::kGroup);
  const uint64_t limit = number(Number::kTimeLimit), cpus = number(Number::kCpus);
  const uint64_t queue =
      key_of(HistoryKey::kQueue, {category(Category::kQos), category(Category::kPartition)});
  const uint64_t request = key_of(
      HistoryKey::kRequest, {category(Category::kRequest), queue, category(Category::kNameStem),
                             category(Category::kApplication)});
  HistoryKeys keys{};
  const auto set = [&keys](HistoryKey kind, uint64_t key) {
    keys[static_cast<size_t>(kind)] = key;
  };
  if (owner != Features::kMissing) {
    set(HistoryKey::kUser, key_of(HistoryKey::kUser, {owner}));
    set(HistoryKey::kSignature, key_of(HistoryKey::kSignature, {owner, request}));
    set(HistoryKey::kUserLimit, key_of(HistoryKey::kUserLimit, {owner, limit}));
    set(HistoryKey::kUserCpus, key_of(HistoryKey::kUserCpus, {owner, cpus}));
  }
  if (group != Features::kMissing || account != Features::kMissing) {
    set(HistoryKey::kGroup, key_of(HistoryKey::kGroup, {group, account}));
  }
  set(HistoryKey::kLimitCpus, key_of(HistoryKey::kLimitCpus, {limit, cpus}));
  set(HistoryKey::kRequest, request);
  set(HistoryKey::kQueue, queue);
  return keys;
}

uint64_t pattern_key(uint64_t signature, uint64_t previous) {
  if (signature == 0 || previous == 0) return 0;
  return key_of(HistoryKey::kPattern, {signature, previous});
}

uint64_t in_flight_key(uint64_t signature, int64_t submit_s) {
  return pattern_key(signature, static_cast<uint64_t>(submit_s) << 1 | 1);
}

}  // namespace auspex
