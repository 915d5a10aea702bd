// SPDX-License-Identifier: Apache-2.0
// What the history keeps of a job: hashes and numbers, no text, and the keys under which it is
// found.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "shared/features.h"
#include "shared/job_record.h"

namespace auspex {

// Under each key the last runtimes of the jobs that share it are kept. The signature is the whole
// request with its owner, place, name and application. Source: our choice of those that history
// based predictors of batch jobs use, such as Smith, Foster, Taylor 1998 and Tsafrir et al. 2007.
enum class HistoryKey : uint8_t {
  kUser,
  kSignature,
  kUserLimit,  // owner and time limit
  kUserCpus,   // owner and CPUs
  kGroup,      // group and account
  kLimitCpus,  // anybody's jobs of this limit and size
  kRequest,    // the signature of anybody
  kPattern,    // the signature, after the signature that the owner submitted before it
  kQueue,      // QOS and partition
};
inline constexpr size_t kHistoryKeys = 9;

// How many past runtimes each key keeps.
inline constexpr std::array<uint32_t, kHistoryKeys> kPastPerKey = {16, 8, 4, 4, 3, 3, 3, 2, 4};

// A submission, as the history sees it.
struct HistoryRequest {
  Features features;
  int64_t submit_s = 0;  // seconds since the epoch
  double limit_s = 0;    // what the user asked for; infinity when there is no limit
};

enum class Ending : uint8_t { kDone, kFailed, kAtLimit };

// A job of the past, from its submission to its end.
struct HistoryJob {
  HistoryRequest request;
  int64_t start_s = 0;  // seconds since the epoch; 0 = unknown
  int64_t end_s = 0;
  double runtime_s = 0;
  Ending ending = Ending::kDone;
  float nodes = 1;
};

HistoryRequest history_request_of(const Submission& submission);
HistoryJob history_job_of(const JobRecord& record);

using HistoryKeys = std::array<uint64_t, kHistoryKeys>;

// All keys but kPattern, which depends on what came before. No owner: the account stands for it;
// neither: key 0, under which nothing is kept.
HistoryKeys history_keys(const Features& features);

// The pattern key of `signature` after `previous`.
uint64_t pattern_key(uint64_t signature, uint64_t previous);

// Jobs in flight are found again by what was submitted when: at submission there is no job id.
// 0 for signature 0, and never otherwise.
uint64_t in_flight_key(uint64_t signature, int64_t submit_s);

}  // namespace auspex
