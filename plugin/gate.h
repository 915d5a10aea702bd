// SPDX-License-Identifier: Apache-2.0
// Gate: the way of one submission: breaker, copy, ask, check, apply.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>

#include "ipc/client.h"
#include "plugin/breaker.h"
#include "plugin/journal.h"
#include "plugin/slurm_symbols.h"

namespace auspex::plugin {

class Gate {
 public:
  explicit Gate(std::string socket_path);

  // At AUSPEX_SOCKET of slurmctld's environment, else the default socket.
  static std::unique_ptr<Gate> open_from_environment();

  // Leaves the job as it is or applies the daemon's edits. Returns by the deadline, which counts
  // from the entry. Threads: any number at once. job, err_msg: may be null.
  void pass(job_desc_msg_t* job, uint32_t submit_uid, char** err_msg);

 private:
  struct Counters {
    std::atomic<uint32_t> last_call_us{0};
    std::atomic<uint64_t> answered{0}, skipped{0}, timeouts{0}, failures{0}, refused{0};
  };
  void ask(job_desc_msg_t& job, uint32_t submit_uid, char** err_msg, ipc::Clock::time_point start);
  void on_failure(const ipc::Failure& failure, int64_t now_ns);
  ipc::CallReport report();

  ipc::Client client_;
  Breaker breaker_;
  Journal journal_;
  Counters counters_;
  const uint64_t instance_;
  std::atomic<int64_t> deadline_us_{ipc::kDefaultDeadline.count()};
};

}  // namespace auspex::plugin
