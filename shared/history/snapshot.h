// SPDX-License-Identifier: Apache-2.0
// A JobHistory as one checksummed file, from which it goes on as if it had never been saved: every
// later view is the same to the last bit.
//
// Layout, little-endian, nothing between the fields: header (magic "AUSPEXJH", u32 version,
// u32 kHistoryVersion, u32 kFeatureVersion, u32 zero, u64 payload bytes, u64 XXH3 of the payload
// and then of the header before it), then the payload as snapshot.cc writes it. Keys are hashes; no
// user name enters the file. Equal histories are equal bytes.
#pragma once

#include <string>

#include "shared/history/history.h"
#include "shared/result.h"

namespace auspex {

inline constexpr uint32_t kHistoryFileVersion = 2;

// Written beside the target, synced, then renamed: the old file stays until the new one is whole.
Status save_history(const JobHistory& history, const std::string& path);

// A smaller capacity than that of the saved history keeps what was touched last. Memory: what the
// capacity allows and a fixed buffer, whatever the file says. Errors name the file and what is
// wrong: absent, truncated, altered (checksum), another version, not a history.
Result<JobHistory> load_history(const std::string& path, const HistoryCapacity& capacity);

}  // namespace auspex
