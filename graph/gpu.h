// SPDX-License-Identifier: Apache-2.0
// What a card can do, as its maker says.
#pragma once

#include <string>
#include <string_view>

namespace auspex {

// What a card and its host reached, by tests/gpu/collect and learn/graphs/compare_measured.
struct Reached {
  double share;           // of what estimate.cc's shares of the data sheet say
  double launch_s[3];     // host time of an operator: inference, graph kept, training
  double autocast_s;      // the same of training in half
  double awake_w;         // power with a context that does nothing
  double operation_j[3];  // of a multiplication or addition: fp32, tf32, half
  double byte_j;          // of a byte moved
  double library_mib;     // that cuBLAS keeps
  const char* source;
};

struct Gpu {
  std::string_view name;      // "a100-40gb"
  std::string_view mig_card;  // in shared/mig.h; empty: no MIG
  // Dense multiply-add, 10^12 operations a second, sums in FP32; 0: the card has none.
  double fp32_tflops, tf32_tflops, half_tflops;
  double bandwidth_gb_s;
  double memory_mib;  // that a process can have
  double power_w;     // at most
  double idle_w;
  std::string_view source;
  const Reached* reached = nullptr;  // nobody has measured it
};

// nullptr: unknown.
const Gpu* gpu_named(std::string_view name);
// "a100-40gb a100-80gb ...", for messages.
std::string gpu_names();

}  // namespace auspex
