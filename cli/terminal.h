// SPDX-License-Identifier: Apache-2.0
// What goes to stdout: colours where they are wanted, texts of strangers made harmless, JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace auspex::cli {

enum class Colour { kPlain, kBold, kDim, kGreen, kYellow };

// Coloured only when stdout is a terminal that can, and NO_COLOR is unset or empty.
// Source: https://no-color.org
std::string coloured(std::string_view text, Colour colour);

// Control characters become "?": one line, and no terminal sequences.
std::string one_line(std::string_view text);

// Rows of "name   value", the values aligned.
void print_fields(const std::vector<std::pair<std::string, std::string>>& fields);

// One line; bytes that are no UTF-8 are replaced.
std::string json_text(const nlohmann::json& json);
void print_json(const nlohmann::json& json);

}  // namespace auspex::cli
