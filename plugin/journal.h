// SPDX-License-Identifier: Apache-2.0
// Journal: lines for slurmctld's log, at most one per cause and minute.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "ipc/client.h"

namespace auspex::plugin {

class Journal {
 public:
  // index: what the line is about, below kTopics. Threads: any. Lines in between are counted and
  // told with the next one.
  static constexpr size_t kTopics = ipc::kCauseCount + 2;
  static constexpr size_t kRefusedEdits = ipc::kCauseCount;
  static constexpr size_t kRefusedByDaemon = ipc::kCauseCount + 1;

  void complain(size_t topic, int64_t now_ns, const std::string& line);
  void tell(const std::string& line);

 private:
  static constexpr int64_t kIntervalNs = 60'000'000'000;
  struct Topic {
    std::atomic<int64_t> next_ns{0};
    std::atomic<uint64_t> suppressed{0};
  };
  std::array<Topic, kTopics> topics_;
};

}  // namespace auspex::plugin
