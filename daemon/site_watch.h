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

  SiteWatch();
  void take(const ipc::GuardReport& report, Clock::time_point now);
  // As it is now: without a word of the guard in time, with a fault.
  const Site& site(Clock::time_point now);
  nlohmann::json status(Clock::time_point now);

 private:
  Site site_;
  ipc::GuardReport last_;
  std::optional<Clock::time_point> heard_;
};

}  // namespace auspex
