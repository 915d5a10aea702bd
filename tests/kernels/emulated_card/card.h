// SPDX-License-Identifier: Apache-2.0
// A card that is none: a module that runs the kernels of kernels/cuda on the host, slowly, and
// fails when it is told to.
#pragma once

#include <atomic>
#include <cstdint>

namespace auspex::emulated {

// Counts go down; at zero it fails, and goes on failing as a real card would.
struct Settings {
  std::atomic<int64_t> allocations = -1;  // that still succeed; negative: all
  std::atomic<int64_t> launches = -1;
  std::atomic<bool> hangs = false;  // launches are taken and never done; what runs sees nothing
  uint32_t processors = 4;
  uint32_t peers = 8;                 // blocks of a cluster, or 1 as before compute capability 9.0
  uint32_t shared_bytes = 227 << 10;  // that a block can have
  uint32_t patience_ms = 60'000;      // of the host with a kernel that stays; this card is slow
  uint32_t idle_ms = 60'000;          // of a kernel that stays
  std::atomic<int64_t> taken = 0;     // pieces of memory that are not given back
  std::atomic<int64_t> dense_launches = 0, resident_launches = 0;  // so far
  std::atomic<int64_t> residents = 0;                              // kernels that stay
  std::atomic<bool> ends = false;                                  // so those leave
};
extern Settings g_settings;

// The module's, which it exports by this name; a real one has none.
inline constexpr char kSettingsName[] = "auspex_emulated_card";
using SettingsEntry = Settings* (*)();

}  // namespace auspex::emulated
