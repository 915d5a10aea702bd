// SPDX-License-Identifier: Apache-2.0
#include "daemon/ledger/entries.h"

#include <xxhash.h>

#include <charconv>

#include "shared/slice_audit.h"

namespace auspex {
namespace {

uint32_t user_of(const Submission& submission) {
  uint32_t user = 0;
  const char* end = submission.user.data() + submission.user.size();
  std::from_chars(submission.user.data(), end, user);
  return user;
}

SliceEntry slice_entry(const MigAdvice& mig) {
  SliceEntry entry;
  entry.why = mig_why_name(mig.why);
  entry.type = mig.type;
  entry.profile = mig.profile;
  entry.card = mig.card;
  if (!mig.need) return entry;
  entry.memory_mib = mig.need->memory_mib;
  entry.memory_upper_mib = mig.need->memory_upper_mib;
  entry.headroom = mig.headroom;
  return entry;
}

}  // namespace

SliceEntry slice_entry(const std::string& admin_comment) {
  SliceEntry entry;
  const auto audit = find_slice_audit(admin_comment);
  if (!audit) return entry;
  entry.why = mig_why_name(MigWhy::kApplied);
  Submission got;
  got.tres_per_node = audit->applied;
  entry.type = requested_resources(got).gpu_type;
  entry.memory_mib = audit->memory_mib;
  return entry;
}

DecisionEntry decision_entry(DecisionNumber number, const Submission& s,
                             const HistoryRequest& request, const Decision& d) {
  DecisionEntry entry;
  entry.number = number;
  entry.user = user_of(s);
  entry.partition = s.partition;
  entry.account = s.account;
  entry.qos = s.qos;
  entry.mode = mode_name(d.mode);
  entry.why = why_name(d.why);
  entry.rule = d.rule;
  entry.asked_min = d.asked_min;
  entry.proposed_min = d.proposed_min;
  entry.applied_min = d.applied_min;
  entry.site_factor = d.edits.site_factor;
  entry.level = d.quantile_level;
  entry.slice = slice_entry(d.mig);
  const auto& categories = request.features.category;
  entry.features = static_cast<int64_t>(XXH3_64bits(categories.data(), sizeof(categories)));
  if (d.prediction) {
    entry.p50_s = d.prediction->quantile_s(.5);
    entry.quantile_s = d.prediction->quantile_s(d.quantile_level);
    entry.model = d.prediction->model;
    entry.latency_us = d.prediction->latency_us;
  }
  return entry;
}

JobEntry job_entry(const JobEvent& event, DecisionNumber decision) {
  const Submission& s = event.submission;
  return {.kind = event.kind,
          .decision = decision,
          .job_id = event.job_id,
          .array_id = event.array_id,
          .user = user_of(s),
          .partition = s.partition,
          .account = s.account,
          .qos = s.qos,
          .admin_comment = s.admin_comment,
          .submit_s = s.submit_time_s,
          .start_s = event.start_s,
          .end_s = event.end_s,
          .runtime_s = event.runtime_s,
          .ending = event.ending};
}

}  // namespace auspex
