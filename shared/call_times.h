// SPDX-License-Identifier: Apache-2.0
// How long calls take: warm-up, then one clock reading before and after each; with caches that
// hold what the call left there, or something else.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace auspex {

// Written between the calls of a cold round. Source: ours; more than the caches that belong to one
// core. What a virtual machine shares with others may hold more.
inline constexpr size_t kColdBytes = size_t{96} << 20;

// Of one contestant, before the next takes its turn.
struct CallRound {
  uint32_t batch = 1;
  bool cold = false;
  uint64_t trials = 1;  // at most
  double seconds = 1;   // whatever the trials: no further call after these
};

// prepare: before each call, outside of its time. Returns each call's microseconds, at least one.
std::vector<double> call_times(const CallRound& round, const std::function<void()>& prepare,
                               const std::function<void()>& call);

// times: not empty; their order is lost.
double quantile(std::vector<double>& times, double level);

}  // namespace auspex
