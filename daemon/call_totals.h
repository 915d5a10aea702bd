// SPDX-License-Identifier: Apache-2.0
// CallTotals: how the plugin's calls ended, over every slurmctld that this daemon has served.
#pragma once

#include <cstdint>
#include <map>

#include "ipc/codec.h"

namespace auspex {

class CallTotals {
 public:
  // Reports of several threads may overtake each other: no total goes back.
  void take(const ipc::CallReport& report);
  ipc::CallReport sum() const;

 private:
  std::map<uint64_t, ipc::CallReport> by_instance_;
};

}  // namespace auspex
