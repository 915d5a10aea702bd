// SPDX-License-Identifier: Apache-2.0
// auspex status: asks the daemon what it is doing.
#include <CLI/CLI.hpp>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/terminal.h"
#include "ipc/client.h"

namespace auspex::cli {
namespace {

// {"a": 1, "b": {"c": 2}} as "a 1, b.c 2"; counters at zero and empty texts are left out.
std::string flat(const nlohmann::json& value, const std::string& name = "") {
  if (!value.is_object()) {
    const std::string text = value.is_string() ? value.get<std::string>() : json_text(value);
    const bool says_nothing = text.empty() || (!name.empty() && text == "0");
    return says_nothing || value.is_null() ? "" : name + (name.empty() ? "" : " ") + text;
  }
  std::string parts;
  for (const auto& [key, member] : value.items()) {
    const std::string part = flat(member, name.empty() ? key : name + "." + key);
    if (!part.empty()) parts += (parts.empty() ? "" : ", ") + part;
  }
  return parts;
}

void print_table(const nlohmann::json& status) {
  std::vector<std::pair<std::string, std::string>> fields;
  for (const auto& [key, value] : status.items()) {
    const std::string text = flat(value);
    fields.emplace_back(one_line(key), !text.empty()       ? one_line(text)
                                       : value.is_object() ? "0"
                                                           : "-");
  }
  print_fields(fields);
}

}  // namespace

int status(const Words& words) {
  std::optional<std::string> socket, config_path;
  bool json = false;
  CLI::App app("What the daemon is doing.", "auspex status");
  app.add_option("--socket", socket, "the daemon's socket, instead of the configuration's");
  app.add_option("--config", config_path, std::string("configuration; ") + kDefaultConfig);
  app.add_flag("--json", json, "print one JSON object");
  if (const auto code = parse_words(app, words)) return *code;

  const Result<std::string> path = socket_path(socket, config_path);
  if (!path) return fail(path.error().message);
  const Result<std::string> answer = ipc::request_status(*path, std::chrono::seconds(2));
  if (!answer) return fail("status: " + answer.error().message, kNo);
  const nlohmann::json status = nlohmann::json::parse(*answer, nullptr, false);
  if (!status.is_object()) return fail("status: " + *path + " answered no JSON object", kNo);
  if (json) {
    print_json(status);
  } else {
    print_table(status);
  }
  return kDone;
}

}  // namespace auspex::cli
