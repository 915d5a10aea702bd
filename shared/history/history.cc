// SPDX-License-Identifier: Apache-2.0
#include "shared/history/history.h"

#include <algorithm>
#include <cmath>

#include "shared/history/candidates.h"

namespace auspex {
JobHistory::JobHistory(const HistoryCapacity& capacity)
    : capacity_(capacity), calibration_(capacity.keys) {
  for (const uint32_t ring : kPastPerKey) tables_.emplace_back(ring, capacity.keys);
}

void JobHistory::view(const HistoryRequest& request, int64_t now_s, HistoryView& out) const {
  view_of(request, find_history(request, history_keys(request.features), tables_), now_s, out);
}

void JobHistory::calibrate(const HistoryRequest& request, const HistoryView& view,
                           Prediction& prediction) const {
  const CalibratedLogs raw = calibrated_logs(prediction);
  prediction.raw_log_s = raw;
  calibration_.apply(calibration_.promise(raw, view.user, view.signature_jobs, request.limit_s),
                     prediction);
}

void JobHistory::submitted(const HistoryRequest& request,
                           const std::optional<CalibratedLogs>& promised) {
  newest_s_ = std::max(newest_s_, request.submit_s);
  const HistoryKeys keys = history_keys(request.features);
  const uint64_t signature = keys[static_cast<size_t>(HistoryKey::kSignature)];
  if (signature == 0) return;

  const auto [job, fresh] = remember(in_flight_key(signature, request.submit_s));
  if (fresh) {
    const FoundHistory found = find_history(request, keys, tables_);
    job.candidates = candidates_of(found);
    const KeySlot* user = found.of(HistoryKey::kUser);
    if (user != nullptr) job.pattern = pattern_key(signature, user->last_signature);
    if (promised) {
      const KeySlot* same = found.of(HistoryKey::kSignature);
      job.promise = calibration_.promise(*promised, keys[static_cast<size_t>(HistoryKey::kUser)],
                                         same == nullptr ? 0 : same->count, request.limit_s);
    }
  }
  ++job.count;
  bound_in_flight();

  KeySlot& user = table(HistoryKey::kUser).touch(keys[static_cast<size_t>(HistoryKey::kUser)]);
  KeySlot& same = table(HistoryKey::kSignature).touch(signature);
  user.streak = user.last_signature == signature ? user.streak + 1 : 1;
  user.last_signature = signature;
  for (KeySlot* slot : {&user, &same}) {
    slot->last_submit_s = request.submit_s;
    ++slot->in_flight.queued;
  }
}

std::pair<JobHistory::InFlight&, bool> JobHistory::remember(uint64_t key) {
  const auto [entry, fresh] = in_flight_.try_emplace(key);
  if (fresh) {
    entry->second.older = newest_in_flight_;
    (newest_in_flight_ == 0 ? oldest_in_flight_ : in_flight_[newest_in_flight_].newer) = key;
    newest_in_flight_ = key;
  }
  return {entry->second, fresh};
}

void JobHistory::forget(InFlightJobs::iterator job) {
  const uint64_t older = job->second.older, newer = job->second.newer;
  (older == 0 ? oldest_in_flight_ : in_flight_[older].newer) = newer;
  (newer == 0 ? newest_in_flight_ : in_flight_[newer].older) = older;
  in_flight_.erase(job);
}

void JobHistory::started(const HistoryRequest& request, int64_t start_s) {
  newest_s_ = std::max(newest_s_, start_s);
  const HistoryKeys keys = history_keys(request.features);
  for (const HistoryKey kind : {HistoryKey::kUser, HistoryKey::kSignature}) {
    const uint64_t key = keys[static_cast<size_t>(kind)];
    if (key != 0) table(kind).touch(key).in_flight.start(start_s);
  }
}

void JobHistory::judge(KeySlot& slot, const InFlight& at_submission, float log_runtime_s) {
  // Source: our choice; about the last ten jobs.
  constexpr float kDecay = 0.1F;
  for (size_t i = 0; i < kCandidates; ++i) {
    if (std::isnan(at_submission.candidates[i])) continue;
    const float hit = std::exp(-std::abs(at_submission.candidates[i] - log_runtime_s));
    slot.accuracy[i] += kDecay * (hit - slot.accuracy[i]);
    slot.judged[i] += kDecay * (1 - slot.judged[i]);
  }
}

void JobHistory::ended(const HistoryRequest& request, int64_t start_s, int64_t end_s,
                       double runtime_s, Ending ending) {
  newest_s_ = std::max(newest_s_, end_s);
  HistoryKeys keys = history_keys(request.features);
  const uint64_t signature = keys[static_cast<size_t>(HistoryKey::kSignature)];
  const bool ran = runtime_s > 0 && std::isfinite(runtime_s);
  const auto log_runtime_s = static_cast<float>(std::log(std::max(runtime_s, 1.0)));
  const float log_limit_s = log_limit_of(request.limit_s);

  if (signature != 0) {
    KeySlot& user = table(HistoryKey::kUser).touch(keys[static_cast<size_t>(HistoryKey::kUser)]);
    KeySlot& same = table(HistoryKey::kSignature).touch(signature);
    const auto known = in_flight_.find(in_flight_key(signature, request.submit_s));
    for (KeySlot* slot : {&user, &same}) {
      if (start_s != 0) {
        slot->in_flight.end(start_s);
      } else {
        slot->in_flight.queued -= slot->in_flight.queued > 0 ? 1 : 0;
      }
      if (ran && known != in_flight_.end()) judge(*slot, known->second, log_runtime_s);
    }
    if (ran) {
      constexpr float kDecay = 0.3F;
      const float share = log_runtime_s - log_limit_s;
      user.used_share_log += (user.count == 0 ? 1 : kDecay) * (share - user.used_share_log);
    }
    if (known != in_flight_.end()) {
      if (known->second.promise) {
        calibration_.ended(*known->second.promise, keys[static_cast<size_t>(HistoryKey::kUser)],
                           runtime_s, ending == Ending::kAtLimit);
      }
      keys[static_cast<size_t>(HistoryKey::kPattern)] = known->second.pattern;
      if (--known->second.count == 0) forget(known);
    }
  }
  if (!ran) return;

  ++jobs_;
  const Past past = {end_s,
                     request.submit_s,
                     log_runtime_s,
                     log_limit_s,
                     request.features.number[static_cast<size_t>(Number::kCpus)],
                     request.features.number[static_cast<size_t>(Number::kMemoryPerCpu)],
                     keys[static_cast<size_t>(HistoryKey::kRequest)],
                     ending};
  for (size_t kind = 0; kind < kHistoryKeys; ++kind) {
    if (keys[kind] != 0) tables_[kind].add(tables_[kind].touch(keys[kind]), past);
  }
}

void JobHistory::bound_in_flight() {
  if (in_flight_.size() > capacity_.in_flight) forget(in_flight_.find(oldest_in_flight_));
}

size_t JobHistory::bytes_at_most(const HistoryCapacity& capacity) {
  size_t per_key = 0, growing = 0;
  for (const uint32_t ring : kPastPerKey) {
    per_key += KeyTable::bytes_per_key(ring);
    growing = std::max(growing, KeyTable::growing_bytes_per_key(ring));
  }
  // One is entered before the oldest leaves.
  const size_t in_flight = size_t{capacity.in_flight} + 1;
  return capacity.keys * (per_key + growing) +
         in_flight * hashed_bytes(sizeof(uint64_t) + sizeof(InFlight)) +
         Calibration::bytes_at_most(capacity.keys);
}

}  // namespace auspex
