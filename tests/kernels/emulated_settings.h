// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dlfcn.h>

#include <cstdlib>

#include "kernels/cuda/abi.h"
#include "tests/kernels/emulated_card/card.h"

namespace auspex::emulated {

// Those of the module that was found; nullptr: it is a real one.
inline Settings* settings() {
  void* const module = ::dlopen(cuda::kModuleFile, RTLD_NOW | RTLD_LOCAL);
  if (!module) return nullptr;
  const auto entry = reinterpret_cast<SettingsEntry>(::dlsym(module, kSettingsName));
  return entry ? entry() : nullptr;
}

// Whether there has to be an emulated card: ctest says so where it has put one in reach.
inline bool promised() {
  return std::getenv("AUSPEX_EMULATED_CARD") != nullptr;
}

}  // namespace auspex::emulated
