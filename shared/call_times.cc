// SPDX-License-Identifier: Apache-2.0
#include "shared/call_times.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace auspex {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void fill_caches() {
  static std::vector<unsigned char> other(kColdBytes);
  static unsigned char value = 0;
  std::memset(other.data(), ++value, other.size());
  asm volatile("" : : "r"(other.data()) : "memory");  // it is written, though nobody reads it
}

}  // namespace

std::vector<double> call_times(const CallRound& round, const std::function<void()>& prepare,
                               const std::function<void()>& call) {
  constexpr uint64_t kWarmUp = 50;
  constexpr double kWarmUpShare = 0.2;
  const Clock::time_point start = Clock::now();
  const uint64_t warm_up = std::min(kWarmUp, round.trials / 4 + 1);
  for (uint64_t i = 0; i < warm_up; ++i) {
    prepare();
    call();
    if (seconds_since(start) > kWarmUpShare * round.seconds) break;
  }
  std::vector<double> times_us;
  while (times_us.empty() ||
         (times_us.size() < round.trials && seconds_since(start) < round.seconds)) {
    prepare();
    if (round.cold) fill_caches();
    const Clock::time_point begin = Clock::now();
    call();
    const Clock::time_point end = Clock::now();
    times_us.push_back(std::chrono::duration<double, std::micro>(end - begin).count());
  }
  return times_us;
}

double quantile(std::vector<double>& times, double level) {
  const auto place = static_cast<std::ptrdiff_t>(level * static_cast<double>(times.size() - 1));
  std::nth_element(times.begin(), times.begin() + place, times.end());
  return times[static_cast<size_t>(place)];
}

}  // namespace auspex
