// SPDX-License-Identifier: Apache-2.0
// What a daemon keeps of its history on disk - a saved one and the journal behind it - for whoever
// reads it beside the daemon.
#pragma once

#include <optional>
#include <string>

#include "shared/history/history.h"
#include "shared/history/journal.h"
#include "shared/result.h"

namespace auspex {

std::string journal_path_of(const std::string& saved_path);

struct KeptHistory {
  JobHistory history;                    // as saved
  std::optional<JournalReader> journal;  // what happened since; none: nothing, the daemon has ended
};

// Both, as they belong together. The daemon replaces them one after the other: while they do not,
// this waits, two seconds at most. Errors: nothing is kept there, or it cannot be read.
Result<KeptHistory> open_kept_history(const std::string& saved_path,
                                      const HistoryCapacity& capacity);

}  // namespace auspex
