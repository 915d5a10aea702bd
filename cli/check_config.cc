// SPDX-License-Identifier: Apache-2.0
// auspex check-config: whether the daemon would take a configuration, and what it then means.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/model_summary.h"
#include "cli/terminal.h"
#include "daemon/engine.h"
#include "shared/config_yaml.h"

namespace auspex::cli {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

void print_answer(const std::string& path, const Fields& values,
                  const std::optional<ModelSummary>& model) {
  std::printf("%s %s\n\n", one_line(path).c_str(), coloured("ok", Colour::kGreen).c_str());
  print_fields(values);
  if (!model) return;
  std::puts("");
  print_fields(model_fields(*model));
}

void print_answer_json(const std::string& path, const Fields& values,
                       const std::optional<ModelSummary>& model, const Words& warnings) {
  nlohmann::json named = nlohmann::json::object();
  for (const auto& [key, value] : values) named[key] = value;
  print_json({{"ok", true},
              {"file", path},
              {"values", std::move(named)},
              {"model", model ? model_json(*model) : nlohmann::json()},
              {"warnings", warnings}});
}

}  // namespace

int check_config(const Words& words) {
  std::string path = kDefaultConfig;
  bool json = false;
  CLI::App app("Whether a configuration is sound, and what it says.", "auspex check-config");
  auto* file = app.add_option("FILE", path, "configuration")->capture_default_str();
  app.add_option("--config", path, "the same")->excludes(file);
  app.add_flag("--json", json, "print one JSON object");
  if (const auto code = parse_words(app, words)) return *code;

  Result<Config> config = load_config(path);
  if (!config) return fail(config.error().message);
  const Fields values = describe_config(*config);
  Words warnings = resolve_users(*config);
  decide_uids(*config, warnings);

  // No model yet is a state of a new site; a model that cannot be read is a mistake.
  std::optional<ModelSummary> model;
  std::error_code ignored;
  if (std::filesystem::exists(config->model, ignored)) {
    const auto found = load_predictor(*config);
    if (!found) return fail(path + ": model: " + found.error().message);
    model = found->predictor->model().summary();
    warnings.insert(warnings.end(), found->warnings.begin(), found->warnings.end());
  } else {
    warnings.push_back("model: there is no " + config->model + ": every job is left alone");
  }
  print_warnings(warnings);
  if (json) {
    print_answer_json(path, values, model, warnings);
  } else {
    print_answer(path, values, model);
  }
  return kDone;
}

}  // namespace auspex::cli
