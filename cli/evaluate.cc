// SPDX-License-Identifier: Apache-2.0
// auspex evaluate: a model against the baselines on a history, in the order of time.
#include "learn/evaluate.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/number_options.h"
#include "cli/terminal.h"

namespace auspex::cli {

int evaluate_model(const Words& words) {
  EvaluateOptions options;
  std::string format;
  bool json = false;
  CLI::App app("A model's accuracy against the baselines, in the order of time.",
               "auspex evaluate");
  app.add_option("--jobs", options.history.paths, "histories: plain, .gz or .xz")->required();
  app.add_option("--format", format, "sacct, swf or csv")->required();
  app.add_option("--model", options.model, "model file")->required();
  add_share(app, "--from-fraction", options.from_fraction,
            "score the submissions after this share of all");
  add_share(app, "--max-bad", options.history.read.max_bad, "share of rows that may be bad");
  app.add_flag("--json", json, "print one JSON object");
  if (const auto code = parse_words(app, words)) return *code;

  const Result<JobFormat> parsed = parse_job_format(format);
  if (!parsed) return fail("evaluate: " + parsed.error().message);
  options.history.format = *parsed;
  const Result<Evaluation> evaluation = evaluate(options);
  if (!evaluation) return fail("evaluate: " + evaluation.error().message);
  print_warnings(evaluation->read.complaints);
  if (json) {
    print_json(to_json(*evaluation));
  } else {
    print_table(*evaluation, std::cout);
    std::cout.flush();
  }
  return kDone;
}

}  // namespace auspex::cli
