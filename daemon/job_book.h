// SPDX-License-Identifier: Apache-2.0
// JobBook: which of the daemon's decisions became which of Slurm's jobs.
//
// At submission a job has no id yet. The follower tells of jobs by their records, which show less
// than the submission did, and with defaults filled in; what the history is told of a job is what
// was decided about, as long as it is found again: by user, name, folder and second of submission.
// Equal ones are told apart by their order.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "daemon/ledger/entries.h"
#include "shared/history/journal.h"
#include "shared/job_event.h"

namespace auspex {

class JobBook {
 public:
  // How many decisions wait for their job, and how many jobs are known, at most. A submission that
  // Slurm refuses, or that was only tried, never becomes a job.
  static constexpr size_t kMostWaiting = 1U << 16, kMostJobs = 1U << 18;

  struct Decided {
    HistoryRequest request;
    DecisionNumber number = 0;  // 0: not known, and what follows is not either
    Why why = Why::kModel;
    std::optional<uint32_t> asked_min = {};
  };
  void decided(const Submission& submission, const Decided& decided);

  // A follower begins: of jobs up to here the history may know already what it tells.
  void begin(int64_t known_until_s) { known_until_s_ = known_until_s; }

  struct Taken {
    std::optional<HistoryEvent> news = {};  // what the history has to hear; nothing: it knows
    DecisionNumber decision = 0;            // 0: not known
  };
  // An event that names its job.
  Taken take(const JobEvent& event);

  // nullptr: of a job that is not known.
  const Decided* find(uint32_t job_id) const;

  size_t jobs() const { return jobs_.size(); }

 private:
  struct Job {
    Decided decided;
    int64_t submit_s = 0;  // as Slurm has it
    int64_t start_s = 0;   // as the history was told
    bool started = false;
  };

  std::optional<Decided> found(const JobEvent& event);
  Taken submitted(const JobEvent& event);
  Taken started(const JobEvent& event);
  Taken ended(const JobEvent& event);

  std::unordered_map<uint64_t, std::deque<Decided>> waiting_;  // by key
  std::deque<std::pair<uint64_t, int64_t>> order_;             // key and second
  std::unordered_map<uint32_t, Job> jobs_;                     // by id
  int64_t known_until_s_ = 0;
};

}  // namespace auspex
