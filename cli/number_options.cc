// SPDX-License-Identifier: Apache-2.0
#include "cli/number_options.h"

#include <CLI/CLI.hpp>
#include <charconv>

namespace auspex::cli {
namespace {

template <class Number>
bool parses(const std::string& text, Number& number) {
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  return failure == std::errc() && stop == end;
}

}  // namespace

void add_share(CLI::App& app, const std::string& name, double& to, const std::string& what) {
  const auto check = [](const std::string& text) -> std::string {
    double share = 0;
    const bool fits = parses(text, share) && share >= 0 && share <= 1;  // false for "nan" too
    return fits ? "" : "'" + text + "' is not a share from 0 to 1";
  };
  app.add_option(name, to, what)->check(CLI::Validator(check, ""))->capture_default_str();
}

void add_count(CLI::App& app, const std::string& name, uint64_t& to, const std::string& what) {
  const auto check = [](const std::string& text) -> std::string {
    uint64_t count = 0;
    return parses(text, count) ? "" : "'" + text + "' is not a whole number, 0 or more";
  };
  app.add_option(name, to, what)->check(CLI::Validator(check, ""));
}

}  // namespace auspex::cli
