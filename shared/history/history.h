// SPDX-License-Identifier: Apache-2.0
// JobHistory: what a site's jobs did, as a new submission may look at it, and how well what they
// were promised held. One implementation for training, evaluation, dry run and daemon: a fold over
// events in the order of time.
//
// Only what ended before the submission is in a view: the caller tells of an end when it has
// happened. Memory is bounded by the capacity, see bytes_at_most().
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "shared/calibration.h"
#include "shared/history/key_table.h"
#include "shared/history/view.h"
#include "shared/result.h"

namespace auspex {

struct HistoryCapacity {
  uint32_t keys = 1U << 16;       // of each kind; the least recently touched makes room
  uint32_t in_flight = 1U << 18;  // submissions that have not ended
};

class JobHistory {
 public:
  explicit JobHistory(const HistoryCapacity& capacity = {});

  // What is known about a request at `now_s`. Threads: any number while nobody changes it.
  void view(const HistoryRequest& request, int64_t now_s, HistoryView& out) const;

  // Moves the upper quantiles of a prediction, made from this history's view of the request, to
  // what calibration makes of them. Threads: as view().
  void calibrate(const HistoryRequest& request, const HistoryView& view,
                 Prediction& prediction) const;

  // The events of a job's life. A start may be left out; an end without its submission counts too.
  // promised: Prediction::raw_log_s of the job's decision; without, it teaches calibration nothing.
  void submitted(const HistoryRequest& request,
                 const std::optional<CalibratedLogs>& promised = std::nullopt);
  void started(const HistoryRequest& request, int64_t start_s);
  // start_s: as given to started(), 0 if it was not. Cancelled before it ran: runtime_s <= 0.
  void ended(const HistoryRequest& request, int64_t start_s, int64_t end_s, double runtime_s,
             Ending ending);

  // Instead of what is known of promises here.
  void go_on_from(const Calibration& calibration) {
    calibration_ = calibration.resized(capacity_.keys);
  }
  const Calibration& calibration() const { return calibration_; }

  uint64_t jobs() const { return jobs_; }         // that ended with a runtime
  int64_t newest_s() const { return newest_s_; }  // the last event
  size_t keys(HistoryKey kind) const { return table(kind).size(); }
  size_t in_flight() const { return in_flight_.size(); }  // equal ones of a second count once
  static size_t bytes_at_most(const HistoryCapacity& capacity);

 private:
  friend class HistorySnapshot;  // snapshot.cc

  // What was known when a job was submitted and is judged when it ends.
  struct InFlight {
    std::array<float, kCandidates> candidates{};
    std::optional<Promise> promise;
    uint64_t pattern = 0;
    uint64_t older = 0, newer = 0;  // keys of the neighbours in the order of submission; 0: none
    uint32_t count = 0;             // equal submissions of the same second
  };
  using InFlightJobs = std::unordered_map<uint64_t, InFlight>;

  const KeyTable& table(HistoryKey kind) const { return tables_[static_cast<size_t>(kind)]; }
  KeyTable& table(HistoryKey kind) { return tables_[static_cast<size_t>(kind)]; }
  void judge(KeySlot& slot, const InFlight& at_submission, float log_runtime_s);
  // The entry of a key other than 0, the newest where there was none (second: true).
  std::pair<InFlight&, bool> remember(uint64_t key);
  void forget(InFlightJobs::iterator job);
  void bound_in_flight();

  HistoryCapacity capacity_;
  std::vector<KeyTable> tables_;  // index: HistoryKey
  InFlightJobs in_flight_;
  uint64_t oldest_in_flight_ = 0, newest_in_flight_ = 0;  // keys; 0: none
  Calibration calibration_;
  uint64_t jobs_ = 0;
  int64_t newest_s_ = 0;
};

}  // namespace auspex
