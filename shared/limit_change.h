// SPDX-License-Identifier: Apache-2.0
// LimitChange: what became of a decided job's limit after its submission.
#pragma once

#include <cstdint>
#include <string_view>

namespace auspex {

enum class ChangeKind : uint8_t {
  kExtended,     // by the guard, before it expired
  kGivenBack,    // by the guard, before a reservation
  kSecondLook,   // decided again, knowing more
  kSomebodyElse  // and left to whoever it was
};
inline constexpr size_t kChangeKinds = 4;

constexpr std::string_view change_name(ChangeKind kind) {
  constexpr std::string_view kNames[kChangeKinds] = {"extended", "given-back", "second-look",
                                                     "somebody-else"};
  return kNames[static_cast<size_t>(kind)];
}

struct LimitChange {
  uint32_t job_id = 0;
  ChangeKind kind = ChangeKind::kExtended;
  int64_t at_s = 0;  // since the epoch
  uint32_t from_min = 0, to_min = 0;

  bool operator==(const LimitChange&) const = default;
};

}  // namespace auspex
