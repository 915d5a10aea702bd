// SPDX-License-Identifier: Apache-2.0
// auspex evaluate: a model against the baselines on a history, in the order of time.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "learn/baselines.h"
#include "learn/commands.h"
#include "learn/evaluate.h"
#include "learn/figure.h"
#include "learn/online_learner.h"
#include "learn/report.h"
#include "shared/progress.h"

namespace auspex {
namespace {

struct Options {
  HistoryArguments history;
  std::string model, at = "submit", figure;
  double from_fraction = 0.7;
  EvaluateOptions evaluate;
  bool frozen = false, baselines = false, json = false;
  uint64_t seed = 1;
  uint32_t threads = 1;
};

void declare(CLI::App& app, Options& options) {
  declare_history(app, options.history);
  app.add_option("--model", options.model, "model file")->required();
  app.add_option("--from-fraction", options.from_fraction,
                 "score the submissions after this share of all")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--at", options.at, "predict at each job's submission, or again at its start")
      ->check(CLI::IsMember({"submit", "start"}))
      ->capture_default_str();
  app.add_flag("--frozen", options.frozen, "the model learns nothing from the scored part");
  app.add_flag("--baselines", options.baselines,
               "fit XGBoost and the paper's network on the first part and score them too");
  app.add_option("--figure", options.figure, "draw the evaluation into this SVG file");
  app.add_option("--seed", options.seed, "of what is fitted")->capture_default_str();
  app.add_option("--threads", options.threads, "more than one pays only on an idle machine")
      ->check(CLI::Range(1U, 1024U))
      ->capture_default_str();
  app.add_flag("--json", options.json, "print one JSON object");
}

Result<std::unique_ptr<Forecaster>> forecaster_of(const Options& options, int64_t point_s) {
  auto predictor = RuntimePredictor::load(options.model);
  if (!predictor) return predictor.error();
  if (options.frozen || !(*predictor)->reads_history()) {
    return std::unique_ptr<Forecaster>(std::make_unique<FrozenForecaster>(std::move(*predictor)));
  }
  OnlineOptions online;
  online.learn_from_s = point_s;
  online.training.seed = options.seed;
  online.training.threads = options.threads;
  auto learner = OnlineLearner::resume(std::move(*predictor), online);
  if (!learner) return Error{options.model + ": " + learner.error().message};
  return std::unique_ptr<Forecaster>(std::move(*learner));
}

Result<FittedBaselines> fitted_baselines(const Options& options, const Evaluation& evaluation,
                                         const std::vector<HistoryJob>& jobs, int64_t point_s) {
  FittedBaselines fitted;
  if (!options.baselines) return fitted;
  Result<Scores> trees = score_xgboost(evaluation, options.seed, options.threads);
  if (!trees) return Error{"xgboost: " + trees.error().message};
  fitted.emplace_back("xgboost", *trees);
  Result<Scores> mlp = score_mlp(jobs, point_s, options.seed, options.threads);
  if (!mlp) return Error{"mlp: " + mlp.error().message};
  fitted.emplace_back("mlp", *mlp);
  return fitted;
}

Status run(Options& options) {
  Result<History> history = read_with_progress("evaluate", options.history);
  if (!history) return history.error();
  const std::string& file = options.history.source.paths.front();
  const int64_t point_s = submit_point_s(history->jobs, options.from_fraction);
  Result<std::unique_ptr<Forecaster>> forecaster = forecaster_of(options, point_s);
  if (!forecaster) return forecaster.error();
  options.evaluate.at = options.at == "start" ? Moment::kStart : Moment::kSubmit;
  options.evaluate.from_s = point_s;
  options.evaluate.summaries = options.baselines;
  std::optional<Progress> line(std::in_place, "evaluating", history->jobs.size());
  options.evaluate.submitted = [&line] { line->advance(); };
  const Result<Evaluation> evaluation = evaluate(history->jobs, **forecaster, options.evaluate);
  line.reset();
  if (!evaluation) return Error{file + ": " + evaluation.error().message};
  const Result<FittedBaselines> fitted =
      fitted_baselines(options, *evaluation, history->jobs, point_s);
  if (!fitted) return Error{file + ": " + fitted.error().message};

  if (!options.figure.empty()) {
    std::ofstream out(options.figure);
    out << evaluation_figure(evaluation->scored, file);
    out.close();
    if (!out) return Error{options.figure + ": cannot be written"};
  }
  if (options.json) {
    const nlohmann::json json = to_json(*evaluation, *fitted, history->report);
    std::puts(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    print_table(*evaluation, *fitted, std::cout);
    std::cout.flush();
  }
  return Done{};
}

}  // namespace

int evaluate_command(int argc, char** argv) {
  Options options;
  CLI::App app("A model's accuracy against the baselines, in the order of time.",
               "auspex evaluate");
  declare(app, options);
  if (const auto code = parse(app, "evaluate", argc, argv)) return *code;
  const Status done = run(options);
  return done ? 0 : fail("evaluate", done.error().message);
}

}  // namespace auspex
