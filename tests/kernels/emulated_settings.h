// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dlfcn.h>

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

}  // namespace auspex::emulated
