// SPDX-License-Identifier: Apache-2.0
// Audit: what was done to a job and why, as one line in its admin_comment. The guard needs nothing
// else to know a job again, so no file of ours has to survive.
//
//   auspex:1 asked=1440 applied=190 p50=112 q=0.9 mode=guarded model=1f3a why=model steps=3
//
// and, once the guard has raised the limit, " limit=607 extended=1 was=190"; after a second look,
// which decides anew, " looks=1 first=1440".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/decision.h"

namespace auspex {

struct Audit {
  uint32_t asked_min = 0;    // kUnlimitedMin: no limit
  uint32_t applied_min = 0;  // at submission
  double p50_min = 0;
  double level = 0;  // quantile
  Mode mode = Mode::kObserve;
  std::string model, why;
  uint32_t steps = 0;      // of the guard, from applied to asked; 0: nobody extends
  uint32_t limit_min = 0;  // the last limit of ours
  uint32_t was_min = 0;    // and the one before: Slurm may store an audit and refuse its limit
  uint32_t extended = 0;   // times
  uint32_t looks = 0;      // second looks that changed something; applied is then the last one's
  uint32_t first_min = 0;  // and this the limit before the first of them

  bool operator==(const Audit&) const = default;
};

Audit audit_of(const Decision& decision, uint32_t steps);
std::string audit_text(const Audit& audit);

// Whether it was us who set this limit.
inline bool is_limit_of(const Audit& audit, uint32_t limit_min) {
  return limit_min == audit.limit_min || limit_min == audit.was_min;
}

// The last whole audit in an admin_comment, whatever others have put around it. nullopt: none, or
// another version.
std::optional<Audit> find_audit(std::string_view admin_comment);

// The admin_comment with this audit in the place of its last one, or behind what stands there.
std::string with_audit(std::string_view admin_comment, const Audit& audit);

}  // namespace auspex
