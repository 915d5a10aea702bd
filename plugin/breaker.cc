// SPDX-License-Identifier: Apache-2.0
#include "plugin/breaker.h"

#include <algorithm>

namespace auspex::plugin {

bool Breaker::allows(int64_t now_ns) {
  int64_t retry_at = retry_at_ns_.load(std::memory_order_relaxed);
  if (retry_at == 0) return true;
  if (now_ns < retry_at) return false;
  // Whoever moves the mark probes; the others wait for its outcome, twice as long as last time.
  const uint32_t doublings =
      std::min(doublings_.load(std::memory_order_relaxed) + 1, kMaxDoublings);
  if (!retry_at_ns_.compare_exchange_strong(retry_at, now_ns + (kFirstWaitNs << doublings),
                                            std::memory_order_relaxed)) {
    return false;
  }
  doublings_.store(doublings, std::memory_order_relaxed);
  return true;
}

void Breaker::succeeded() {
  if (failures_.load(std::memory_order_relaxed) != 0) failures_.store(0, std::memory_order_relaxed);
  if (is_open()) {
    doublings_.store(0, std::memory_order_relaxed);
    retry_at_ns_.store(0, std::memory_order_relaxed);
  }
}

void Breaker::failed(bool not_there, int64_t now_ns) {
  const uint32_t failures = failures_.fetch_add(1, std::memory_order_relaxed) + 1;
  // Open already: a probe has set its own time, and calls that failed together are one event.
  if (is_open() || (!not_there && failures < kTolerated)) return;
  retry_at_ns_.store(now_ns + kFirstWaitNs, std::memory_order_relaxed);
}

}  // namespace auspex::plugin
