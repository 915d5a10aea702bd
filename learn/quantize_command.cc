// SPDX-License-Identifier: Apache-2.0
// auspex quantize: a model in a faster precision, if it predicts the end of a history as well;
// trained on in that precision before, if it is told to.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "learn/commands.h"
#include "learn/evaluate.h"
#include "learn/tune.h"
#include "shared/progress.h"

namespace auspex {
namespace {

constexpr int kNo = 1;

struct Options {
  HistoryArguments history;
  std::string model, precision, out;
  double from_fraction = 0.7, most_loss = .002;
  TuneOptions tune{.passes = 0};
  bool json = false;
};

void declare(CLI::App& app, Options& options) {
  declare_history(app, options.history);
  app.add_option("--model", options.model, "model file")->required();
  app.add_option("--precision", options.precision,
                 "fp32, bf16, int8, int4 or int8-2:4; or one for each layer: int8,int4,bf16")
      ->required();
  app.add_option("--out", options.out, "where the new model goes")->required();
  app.add_option(
         "--from-fraction", options.from_fraction,
         "compare on the submissions after this share of all; give a model that was trained on "
         "those before (train --until-fraction)")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option("--most-loss", options.most_loss,
                 "that is accepted: of accuracy, and of the jobs that the upper quantiles cover")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  app.add_option(
         "--tune", options.tune.passes,
         "train the weights on in the precision, in so many passes over the jobs that were "
         "submitted and ended before the compared ones; 1 makes up for most of int4 and int8-2:4")
      ->check(CLI::Range(0U, 1000U))
      ->capture_default_str();
  app.add_option("--seed", options.tune.seed, "of tuning; equal seeds give equal models")
      ->capture_default_str();
  app.add_option("--threads", options.tune.threads, "of tuning")
      ->check(CLI::Range(1U, 1024U))
      ->capture_default_str();
  app.add_flag("--json", options.json, "print one JSON object");
}

// What a model is worth in its precision. It learns nothing from the scored part.
Result<Evaluation> worth(const ModelContent& content, const std::vector<HistoryJob>& jobs,
                         const Options& options) {
  auto model = ModelFile::of(content);
  if (!model) return model.error();
  auto predictor = RuntimePredictor::with(std::move(*model));
  if (!predictor) return Error{options.model + ": " + predictor.error().message};
  FrozenForecaster forecaster(std::move(*predictor));
  EvaluateOptions evaluation;
  evaluation.from_s = submit_point_s(jobs, options.from_fraction);
  std::optional<Progress> line(std::in_place, precisions_text(content.precisions), jobs.size());
  evaluation.submitted = [&line] { line->advance(); };
  Result<Evaluation> result = evaluate(jobs, forecaster, evaluation);
  if (!result) return Error{options.history.source.paths.front() + ": " + result.error().message};
  return result;
}

// The largest of what is lost: of the accuracy, and of the share of jobs that each upper quantile
// covers, which is what limits are made of.
double loss_of(const Evaluation& before, const Evaluation& after) {
  double loss = before.auspex.accuracy - after.auspex.accuracy;
  for (size_t i = 0; i < kCoverageLevels.size(); ++i) {
    loss = std::max({loss, before.raw[i].jobs - after.raw[i].jobs,
                     before.applied[i].jobs - after.applied[i].jobs});
  }
  return loss;
}

// Of the log of the median: root mean square of what rounding moved it by, over its standard
// deviation.
double rms_over_sd(const Evaluation& before, const Evaluation& after) {
  double sum = 0, squares = 0, errors = 0;
  for (size_t i = 0; i < before.scored.size(); ++i) {
    const double truth = std::log(before.scored[i].predicted_s);
    sum += truth;
    squares += truth * truth;
    errors += std::pow(std::log(after.scored[i].predicted_s) - truth, 2);
  }
  const auto jobs = static_cast<double>(before.scored.size());
  const double variance = squares / jobs - std::pow(sum / jobs, 2);
  return errors > 0 ? std::sqrt(errors / jobs / variance) : 0;
}

nlohmann::json to_json(const Evaluation& e, const Evaluation& before) {
  return {{"backend", e.backend},
          {"rms_over_sd", rms_over_sd(before, e)},
          {"jobs", e.auspex.jobs},
          {"accuracy", e.auspex.accuracy},
          {"mae_h", e.auspex.mae_h},
          {"coverage",
           {{"p90", e.applied[0].jobs}, {"p95", e.applied[1].jobs}, {"p99", e.applied[2].jobs}}},
          {"requested_hours_ratio", e.requested_hours_ratio}};
}

void print_row(const Evaluation& e, const Evaluation& before, const char* tuned = "") {
  std::printf("%-22s %8llu %9.4f %8.3f %8.4f %8.4f %8.4f %9.3f %7.4f\n",
              (e.backend + tuned).c_str(), static_cast<unsigned long long>(e.auspex.jobs),
              e.auspex.accuracy, e.auspex.mae_h, e.applied[0].jobs, e.applied[1].jobs,
              e.applied[2].jobs, e.requested_hours_ratio, rms_over_sd(before, e));
}

struct Comparison {
  Evaluation before, rounded;
  std::optional<Evaluation> tuned;
  size_t tuned_on = 0;  // jobs
  double loss = 0;      // of the last against the first
  bool accepted = false;
};

void print(const Comparison& c, const Options& options) {
  if (options.json) {
    nlohmann::json json = {{"before", to_json(c.before, c.before)},
                           {"after", to_json(c.tuned ? *c.tuned : c.rounded, c.before)},
                           {"loss", c.loss},
                           {"most_loss", options.most_loss},
                           {"written", c.accepted}};
    if (c.tuned) {
      json["untuned"] = to_json(c.rounded, c.before);
      json["untuned"]["loss"] = loss_of(c.before, c.rounded);
      json["tuned_on"] = c.tuned_on;
    }
    std::puts(json.dump().c_str());
    return;
  }
  std::printf("%-22s %8s %9s %8s %8s %8s %8s %9s %7s\n", "", "jobs", "accuracy", "mae h", "p90",
              "p95", "p99", "requested", "rms/sd");
  print_row(c.before, c.before);
  print_row(c.rounded, c.before);
  if (c.tuned) print_row(*c.tuned, c.before, " tuned");
  if (c.tuned) {
    std::printf("untuned it costs %.4f; tuned on %zu jobs, ", loss_of(c.before, c.rounded),
                c.tuned_on);
  }
  std::printf("%s costs %.4f of accuracy or coverage, at most %.4f is accepted: ",
              options.precision.c_str(), c.loss, options.most_loss);
  if (c.accepted) {
    std::printf("written to %s\n", options.out.c_str());
  } else {
    std::puts("nothing is written");
  }
}

// Fills tuned and tuned_on.
Status tune_and_compare(const std::vector<HistoryJob>& jobs, const Options& options,
                        ModelContent& content, Comparison& out) {
  TuneOptions tuning = options.tune;
  tuning.until_s = submit_point_s(jobs, options.from_fraction);
  const std::string& history = options.history.source.paths.front();
  std::optional<Progress> line(std::in_place, "tuning", 1000);
  const auto show = [&line](double share) {
    line->show(static_cast<uint64_t>(1000 * share), share);
  };
  const Result<size_t> tuned_on = tune(jobs, tuning, show, content);
  line.reset();
  if (!tuned_on) return Error{history + ": " + tuned_on.error().message};
  out.tuned_on = *tuned_on;
  Result<Evaluation> tuned = worth(content, jobs, options);
  if (!tuned) return tuned.error();
  out.tuned = std::move(*tuned);
  content.created_s = creation_time_s();
  return Done{};
}

// Gives the exit code.
Result<int> run(Options& options) {
  const auto model = ModelFile::open(options.model);
  if (!model) return model.error();
  const size_t layers = (*model)->layers().size();
  const auto precisions = precisions_named(options.precision, layers);
  if (!precisions) return precisions.error();
  if (Status writable = check_out(options.out); !writable) return writable.error();
  const Result<History> history = read_with_progress("quantize", options.history);
  if (!history) return history.error();
  ModelContent content = (*model)->content();
  content.precisions = precisions_of(Precision::kFp32, layers);
  Result<Evaluation> before = worth(content, history->jobs, options);
  if (!before) return before.error();
  content.precisions = *precisions;
  Result<Evaluation> rounded = worth(content, history->jobs, options);
  if (!rounded) return rounded.error();
  Comparison comparison{std::move(*before), std::move(*rounded), {}};
  if (options.tune.passes > 0) {
    Status tuned = tune_and_compare(history->jobs, options, content, comparison);
    if (!tuned) return tuned.error();
  }
  comparison.loss =
      loss_of(comparison.before, comparison.tuned ? *comparison.tuned : comparison.rounded);
  comparison.accepted = comparison.loss <= options.most_loss;
  if (comparison.accepted) {
    if (Status written = write_model_file(options.out, content); !written) return written.error();
  }
  print(comparison, options);
  return comparison.accepted ? 0 : kNo;
}

}  // namespace

int quantize_command(int argc, char** argv) {
  Options options;
  CLI::App app("A model in a faster precision, if it predicts as well.", "auspex quantize");
  declare(app, options);
  if (const auto code = parse(app, "quantize", argc, argv)) return *code;
  const Result<int> code = run(options);
  return code ? *code : fail("quantize", code.error().message);
}

}  // namespace auspex
