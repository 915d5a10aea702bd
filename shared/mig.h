// SPDX-License-Identifier: Apache-2.0
// The slices that NVIDIA's MIG cuts a card into, and which one a job fits.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace auspex {

// Of profiles that differ only in media engines ("+me", "+gfx") the plain one stands for all.
struct MigProfile {
  std::string_view name;  // "3g.20gb": as the driver says it
  uint32_t compute;       // slices of the card's
  uint32_t most;          // instances on one card
  uint32_t sms;           // streaming multiprocessors; 0: not known
  double usable_gib;      // what a process can have, contexts included; less than the name says
};

// Keyed by card: "1g.35gb" is a quarter of one card and a seventh of another.
struct MigCard {
  std::string_view name;                 // "a100-40gb"
  uint32_t compute;                      // slices in all
  std::span<const MigProfile> profiles;  // ascending in memory, then in compute; the last is all
};

// nullptr: no such card, or it has no MIG.
const MigCard* mig_card(std::string_view name);
// "a100-40gb a100-80gb ...", for messages.
std::string mig_card_names();

// A slice of the site: its own figures, if the site gave them, else the card's.
struct MigSlice {
  std::string name;
  uint32_t compute = 0;
  double usable_mib = 0;
  double step_ms = 0;  // of the model in question; 0: not known
};
std::vector<MigSlice> mig_slices(const MigCard& card);
// step_ms: of each of them.
std::vector<MigSlice> mig_slices(const MigCard& card, std::span<const double> step_ms);

struct MigNeed {
  double memory_mib = 0;
  double headroom = 0;   // 0.10: a tenth more than that
  double upper_mib = 0;  // nor less than this
};

// The smallest slice in memory that fits, and of equal memory the least compute that is not
// noticeably slower. Ascending in memory, then in compute. nullptr: none fits.
const MigSlice* smallest_fit(std::span<const MigSlice> slices, const MigNeed& need);

// Equation 2 of DIPPM (Maelstrom D3.5) for the A100 with 40 GB: by the names' gigabytes, with
// nothing left for what the driver keeps. The equation leaves 5, 10 and 20 GB themselves out; here
// they belong to the smaller profile. nullopt: over 40 GB, or no number.
std::optional<std::string_view> dippm_profile(double memory_gb);

}  // namespace auspex
