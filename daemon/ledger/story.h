// SPDX-License-Identifier: Apache-2.0
// Story: what the ledger knows of one job, from its submission to its end.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "daemon/ledger/entries.h"
#include "shared/result.h"

namespace auspex {

struct Story {
  uint32_t job_id = 0;
  DecisionEntry decision;
  bool from_audit = false;  // the decision itself is not in the ledger
  std::optional<int64_t> submit_s, start_s, end_s;
  std::optional<double> runtime_s;
  std::string ending;
  struct Change {
    int64_t at_s = 0;
    std::string kind;
    uint32_t from_min = 0, to_min = 0;
    bool operator==(const Change&) const = default;
  };
  std::vector<Change> changes;
};

// nullopt: the ledger does not know the job. Of jobs that shared the id, the last one.
// Errors name the path and the reason.
Result<std::optional<Story>> read_story(const std::string& path, uint32_t job_id);

}  // namespace auspex
