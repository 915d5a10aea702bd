// SPDX-License-Identifier: Apache-2.0
// Feeder: plays jobs of the past to the daemon in the order of time, as if they happened now.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ipc/event_sender.h"
#include "shared/history/job_clock.h"
#include "shared/job_record.h"

namespace auspex::cli {

class Feeder {
 public:
  // Waits so long for one answer. Source: our choice; a daemon answers within a millisecond.
  static constexpr std::chrono::seconds kTimeout{10};

  explicit Feeder(ipc::Client& client) : client_(client), sender_(client, kTimeout) {}

  // What is played with false is only remembered: the daemon has been told already.
  void tell(bool told) { tell_ = told; }

  // Jobs come in the order of their submission. Before each, what happened before it happens.
  Status submit(JobRecord&& job);
  // The same, but the daemon is asked to decide; it knows of the submission by that.
  Result<Edits> decide(const JobRecord& job);
  // What is left to happen after the last submission.
  Status finish();
  // What has happened reaches the daemon.
  Status flush() { return sender_.flush(); }

  uint64_t events() const { return sender_.sent(); }
  // Users and groups of the file that are no numbers and that this machine does not know.
  size_t unknown_names() const { return unknown_; }

 private:
  Status advance(int64_t time_s);
  Status tell_of(const JobEvent& job, EventKind kind);
  void begin(const JobRecord& job, Submission submission);
  Submission as_online(const JobRecord& job);
  std::string number_of(const std::string& name, bool group);

  ipc::Client& client_;
  ipc::EventSender sender_;
  JobClock clock_;
  std::vector<JobEvent> jobs_;  // by their places
  std::map<std::string, std::string> users_, groups_;
  size_t unknown_ = 0;
  bool tell_ = true;
};

}  // namespace auspex::cli
