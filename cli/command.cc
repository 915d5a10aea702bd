// SPDX-License-Identifier: Apache-2.0
#include "cli/command.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "cli/terminal.h"
#include "shared/config_yaml.h"

namespace auspex::cli {

std::optional<int> parse_words(CLI::App& app, const Words& words) {
  Words reversed(words.rbegin(), words.rend());  // as CLI11 takes them
  try {
    app.parse(reversed);
    return std::nullopt;
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return kDone;
  } catch (const CLI::ParseError& problem) {
    const std::string name = app.get_name().substr(std::string_view("auspex ").size());
    return fail(name + ": " + problem.what() + " (see auspex " + name + " --help)");
  }
}

int fail(const std::string& message, int code) {
  std::fprintf(stderr, "auspex: %s\n", one_line(message).c_str());
  return code;
}

void print_warnings(const Words& warnings) {
  for (const std::string& warning : warnings) {
    std::fprintf(stderr, "auspex: warning: %s\n", one_line(warning).c_str());
  }
}

Result<Config> load_config_or_defaults(const std::optional<std::string>& given, Words& warnings) {
  if (given) return load_config(*given);
  std::error_code ignored;
  if (std::filesystem::exists(kDefaultConfig, ignored)) return load_config(kDefaultConfig);
  warnings.push_back(std::string("there is no ") + kDefaultConfig + ": the defaults are used");
  return Config{};
}

Result<std::string> socket_path(const std::optional<std::string>& given,
                                const std::optional<std::string>& config_path) {
  if (given) return *given;
  const char* named = std::getenv("AUSPEX_SOCKET");
  if (!config_path && named != nullptr && *named != '\0') return std::string(named);
  Words ignored;  // the socket's default is as good as the file's
  const Result<Config> config = load_config_or_defaults(config_path, ignored);
  if (!config) return config.error();
  return config->socket;
}

}  // namespace auspex::cli
