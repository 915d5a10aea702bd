// SPDX-License-Identifier: Apache-2.0
// SliceAudit: which slice a job got instead of the GPU that it asked for, as one line in its
// admin_comment.
//
//   auspex-mig:1 asked=gres:gpu:1 applied=gres:gpu:2g.10gb:1 memory=4615
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace auspex {

struct SliceAudit {
  std::string asked, applied;  // a TRES, as Slurm writes it
  double memory_mib = 0;       // what the model needs

  bool operator==(const SliceAudit&) const = default;
};

std::string slice_audit_text(const SliceAudit& audit);

// The last whole one in an admin_comment, whatever others have put around it. nullopt: none, or
// another version.
std::optional<SliceAudit> find_slice_audit(std::string_view admin_comment);

}  // namespace auspex
