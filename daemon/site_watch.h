// SPDX-License-Identifier: Apache-2.0
// SiteWatch: what the guard told last of Slurm and of itself, and whether that is still to be
// relied on.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>

#include "ipc/codec.h"
#include "shared/site.h"

namespace auspex {

class SiteWatch {
 public:
  using Clock = std::chrono::steady_clock;
  // A guard that says nothing for longer does not stand. Source: our choice; it reports once a
  // second, and a shortened job has a minute at least.
  static constexpr std::chrono::seconds kSilence{10};
  // And has hung for good when it is silent for this long: slurmctld's MessageTimeout is 10 s by
  // default, and a call may wait it out several times.
  static constexpr std::chrono::seconds kLost{120};

  SiteWatch();
  void take(const ipc::GuardReport& report, Clock::time_point now);
  // As it is now: without a word of the guard in time, with a fault.
  const Site& site(Clock::time_point now);
  nlohmann::json status(Clock::time_point now);
  bool is_lost(Clock::time_point now) const { return now - last_heard_ > kLost; }

 private:
  Site site_;
  ipc::GuardReport last_;
  Clock::time_point last_heard_ = Clock::now();
};

}  // namespace auspex
