// SPDX-License-Identifier: Apache-2.0
// Programs of ours that run beside the daemon.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "shared/result.h"

namespace auspex {

// "/usr/sbin/auspex-guard" for a daemon in /usr/sbin.
std::string companion_path(const std::string& name);

// Starts it with no signal blocked. channel: what it finds on file descriptor 3. Errors: it is not
// there, or no process is to be had.
Result<pid_t> start_companion(const std::string& path, std::vector<std::string> arguments,
                              std::optional<int> channel = std::nullopt);

}  // namespace auspex
