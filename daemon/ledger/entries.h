// SPDX-License-Identifier: Apache-2.0
// What the ledger is told, in plain values. No name that a user chooses is among them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "shared/decision.h"
#include "shared/history/past.h"
#include "shared/job_event.h"
#include "shared/limit_change.h"

namespace auspex {

// A decision's number: microseconds since the epoch, no two alike.
using DecisionNumber = int64_t;

// What became of the GPU that a job with a model asks for.
struct SliceEntry {
  std::string why;            // as mig_why_name(); empty: not known
  std::string type, profile;  // empty: none
  std::string card;           // as in shared/mig.h; empty: not known
  std::optional<double> memory_mib, memory_upper_mib, headroom;

  bool operator==(const SliceEntry&) const = default;
};

struct DecisionEntry {
  DecisionNumber number = 0;
  uint32_t user = 0;
  std::string partition, account, qos;
  std::string mode, why;
  int rule = -1;
  std::optional<uint32_t> asked_min, proposed_min, applied_min;
  std::optional<int32_t> site_factor;
  double level = 0;
  std::optional<double> p50_s, quantile_s;
  std::string model;
  SliceEntry slice;
  int64_t features = 0;  // digest
  double latency_us = 0;
};

// What the follower saw of a job.
struct JobEntry {
  EventKind kind = EventKind::kSubmitted;
  DecisionNumber decision = 0;  // 0: not known
  uint32_t job_id = 0, array_id = 0, user = 0;
  std::string partition, account, qos, admin_comment;
  int64_t submit_s = 0, start_s = 0, end_s = 0;
  double runtime_s = 0;
  Ending ending = Ending::kDone;
};

using LedgerEntry = std::variant<DecisionEntry, JobEntry, LimitChange>;

DecisionEntry decision_entry(DecisionNumber number, const Submission& submission,
                             const HistoryRequest& request, const Decision& decision);
// What a job's admin_comment tells of it.
SliceEntry slice_entry(const std::string& admin_comment);
// decision: 0 if it is not known.
JobEntry job_entry(const JobEvent& event, DecisionNumber decision);

}  // namespace auspex
