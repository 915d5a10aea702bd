// SPDX-License-Identifier: Apache-2.0
// A module of another version than the program's.
#include "kernels/cuda/abi.h"

extern "C" __attribute__((visibility("default"))) const auspex::cuda::AbiModule*
auspex_cuda_module() {
  static constexpr auspex::cuda::AbiModule kModule = {99,      nullptr, nullptr, nullptr, nullptr,
                                                      nullptr, nullptr, nullptr, nullptr, nullptr};
  return &kModule;
}
