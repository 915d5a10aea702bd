// SPDX-License-Identifier: Apache-2.0
#include "plugin/journal.h"

#include "plugin/slurm_symbols.h"

namespace auspex::plugin {
namespace {

// What a daemon says may be quoted in a line; it must not make lines of its own.
std::string one_line(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = ' ';
  }
  return text;
}

}  // namespace

void Journal::complain(size_t topic, int64_t now_ns, const std::string& line) {
  Topic& state = topics_[topic];
  int64_t next = state.next_ns.load(std::memory_order_relaxed);
  if (now_ns < next || !state.next_ns.compare_exchange_strong(next, now_ns + kIntervalNs,
                                                              std::memory_order_relaxed)) {
    state.suppressed.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  const uint64_t suppressed = state.suppressed.exchange(0, std::memory_order_relaxed);
  const std::string more =
      suppressed == 0 ? "" : " (" + std::to_string(suppressed) + " more since the last such line)";
  slurm_error("job_submit/auspex: %s; jobs pass unchanged%s", one_line(line).c_str(), more.c_str());
}

void Journal::tell(const std::string& line) {
  slurm_info("job_submit/auspex: %s", line.c_str());
}

}  // namespace auspex::plugin
