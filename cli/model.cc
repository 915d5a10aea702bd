// SPDX-License-Identifier: Apache-2.0
// auspex model show FILE.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/model_summary.h"
#include "cli/terminal.h"
#include "shared/model_file.h"

namespace auspex::cli {

int model(const Words& words) {
  std::string file;
  bool json = false;
  CLI::App app("What a model file holds.", "auspex model");
  app.require_subcommand(1);
  CLI::App* show = app.add_subcommand("show", "print what a model file holds");
  show->add_option("FILE", file, "model file, as auspex train writes it")->required();
  show->add_flag("--json", json, "print one JSON object");
  const bool is_other = !words.empty() && words[0] != "show" && !words[0].starts_with('-');
  if (is_other) return fail("model: '" + words[0] + "' is not known; allowed: show");
  if (const auto code = parse_words(app, words)) return *code;

  const auto opened = ModelFile::open(file);
  if (!opened) return fail(opened.error().message);
  const ModelSummary& summary = (*opened)->summary();
  if (json) {
    print_json(model_json(summary));
  } else {
    print_fields(model_fields(summary));
  }
  return kDone;
}

}  // namespace auspex::cli
