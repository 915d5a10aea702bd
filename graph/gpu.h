// SPDX-License-Identifier: Apache-2.0
// What a card can do, as its maker says.
#pragma once

#include <string>
#include <string_view>

namespace auspex {

struct Gpu {
  std::string_view name;      // "a100-40gb"
  std::string_view mig_card;  // in shared/mig.h; empty: no MIG
  // Dense multiply-add, 10^12 operations a second, sums in FP32; 0: the card has none.
  double fp32_tflops, tf32_tflops, half_tflops;
  double bandwidth_gb_s;
  double memory_mib;  // that a process can have
  double power_w;     // at most
  double idle_w;
  // That PyTorch gives to cuBLAS: 32 MiB from Hopper on, 8 MiB and 128 KiB before. Source:
  // PyTorch's documentation of CUBLAS_WORKSPACE_CONFIG; 32 MiB measured by tests/gpu/collect on an
  // H200.
  double product_workspace_mib;
  std::string_view source;
  bool like_hopper = false;  // what it reaches of that; see estimate.cc
  // Times as long as others of its kind take to compute and to move, where that was measured.
  double computing = 1, moving = 1;
  double share = 1;  // of the card's multiprocessors: a slice has less
};

// nullptr: unknown.
const Gpu* gpu_named(std::string_view name);
// "a100-40gb a100-80gb ...", for messages.
std::string gpu_names();

}  // namespace auspex
