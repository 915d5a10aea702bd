// SPDX-License-Identifier: Apache-2.0
#include "cli/terminal.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace auspex::cli {
namespace {

bool wants_colours() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  const bool refused = no_color != nullptr && *no_color != '\0';
  const bool dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  return !refused && !dumb && isatty(STDOUT_FILENO) == 1;
}

// ECMA-48, select graphic rendition.
const char* sequence(Colour colour) {
  switch (colour) {
    case Colour::kBold:
      return "\033[1m";
    case Colour::kDim:
      return "\033[2m";
    case Colour::kGreen:
      return "\033[32m";
    case Colour::kYellow:
      return "\033[33m";
    case Colour::kPlain:
      break;
  }
  return "";
}

}  // namespace

std::string coloured(std::string_view text, Colour colour) {
  static const bool wanted = wants_colours();
  if (!wanted || colour == Colour::kPlain) return std::string(text);
  return sequence(colour) + std::string(text) + "\033[0m";
}

std::string one_line(std::string_view text) {
  std::string line(text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == 127) c = '?';
  }
  return line;
}

void print_fields(const std::vector<std::pair<std::string, std::string>>& fields) {
  size_t width = 0;
  for (const auto& [name, value] : fields) width = std::max(width, name.size());
  for (const auto& [name, value] : fields) {
    const std::string padding(width - name.size() + 2, ' ');
    std::printf("%s%s%s\n", coloured(name, Colour::kDim).c_str(), padding.c_str(), value.c_str());
  }
}

std::string json_text(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void print_json(const nlohmann::json& json) {
  std::puts(json_text(json).c_str());
}

}  // namespace auspex::cli
