// SPDX-License-Identifier: Apache-2.0
#include "plugin/breaker.h"

#include <algorithm>

namespace auspex::plugin {

int64_t Breaker::wait_ns() const {
  return kFirstWaitNs << doublings_.load(std::memory_order_relaxed);
}

bool Breaker::allows(int64_t now_ns) {
  int64_t retry_at = retry_at_ns_.load(std::memory_order_relaxed);
  if (retry_at == 0) return true;
  if (now_ns < retry_at) return false;
  // Whoever moves the mark probes; the others wait for its outcome.
  return retry_at_ns_.compare_exchange_strong(retry_at, now_ns + wait_ns(),
                                              std::memory_order_relaxed);
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
  if (is_open()) {
    doublings_.store(std::min(doublings_.load(std::memory_order_relaxed) + 1, kMaxDoublings),
                     std::memory_order_relaxed);
  } else if (!not_there && failures < kTolerated) {
    return;
  }
  retry_at_ns_.store(now_ns + wait_ns(), std::memory_order_relaxed);
}

}  // namespace auspex::plugin
