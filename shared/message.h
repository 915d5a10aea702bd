// SPDX-License-Identifier: Apache-2.0
// Message: the line that a user reads, from the site's template. Fields: {asked} {limit} {share}
// {p50} {mode} {extended}.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/decision.h"

namespace auspex {

// Filled in, the line stays within what the protocol carries.
inline constexpr size_t kMaxMessageTemplateBytes = 350, kMaxMessageTextBytes = 512;

std::vector<std::string> message_fields();
// The first field of a template that there is not.
std::optional<std::string> unknown_field(std::string_view text);
// decision: one that proposes a limit. Cut to kMaxMessageTextBytes.
std::string message_text(std::string_view text, const Decision& decision);

}  // namespace auspex
