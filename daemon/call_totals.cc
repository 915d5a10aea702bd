// SPDX-License-Identifier: Apache-2.0
#include "daemon/call_totals.h"

#include <algorithm>

namespace auspex {
namespace {

constexpr uint64_t ipc::CallReport::*kTotals[] = {
    &ipc::CallReport::answered, &ipc::CallReport::skipped, &ipc::CallReport::timeouts,
    &ipc::CallReport::failures, &ipc::CallReport::refused};

}  // namespace

void CallTotals::take(const ipc::CallReport& report) {
  ipc::CallReport& known = by_instance_[report.instance];
  for (const auto total : kTotals) known.*total = std::max(known.*total, report.*total);
}

ipc::CallReport CallTotals::sum() const {
  ipc::CallReport sum;
  for (const auto& [instance, report] : by_instance_) {
    for (const auto total : kTotals) sum.*total += report.*total;
  }
  return sum;
}

}  // namespace auspex
