// SPDX-License-Identifier: Apache-2.0
// Breaker: decides whether a call is worth making. While the daemon is away, one call at a time
// probes for it at growing intervals and all others pass at the cost of two atomic loads.
#pragma once

#include <atomic>
#include <cstdint>

namespace auspex::plugin {

class Breaker {
 public:
  // Times in ns of any monotonic clock. Threads: any.
  bool allows(int64_t now_ns);

  void succeeded();
  // not_there: nobody listens, which is certain at once; otherwise it takes kTolerated in a row.
  void failed(bool not_there, int64_t now_ns);

  bool is_open() const { return retry_at_ns_.load(std::memory_order_relaxed) != 0; }

 private:
  // A single late answer is no reason to turn the next jobs away.
  static constexpr uint32_t kTolerated = 3;
  static constexpr int64_t kFirstWaitNs = 100'000'000;
  static constexpr uint32_t kMaxDoublings = 5;  // at most 3.2 s between probes

  std::atomic<int64_t> retry_at_ns_{0};  // 0 = closed
  std::atomic<uint32_t> failures_{0};    // in a row
  std::atomic<uint32_t> doublings_{0};   // of the wait, one a probe
};

}  // namespace auspex::plugin
