// SPDX-License-Identifier: Apache-2.0
// auspex quantize: a model in a faster precision, if it predicts the end of a history as well.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "learn/commands.h"
#include "learn/evaluate.h"
#include "shared/progress.h"

namespace auspex {
namespace {

constexpr int kNo = 1;

struct Options {
  HistoryArguments history;
  std::string model, precision, out;
  double from_fraction = 0.7, most_loss = .002;
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
  app.add_flag("--json", options.json, "print one JSON object");
}

// What a model is worth in one precision. Both learn nothing from the scored part.
Result<Evaluation> worth(const ModelContent& content, const std::vector<Precision>& precisions,
                         const std::vector<HistoryJob>& jobs, const Options& options) {
  ModelContent in_precision = content;
  in_precision.precisions = precisions;
  auto model = ModelFile::of(in_precision);
  if (!model) return model.error();
  auto predictor = RuntimePredictor::with(std::move(*model));
  if (!predictor) return Error{options.model + ": " + predictor.error().message};
  FrozenForecaster forecaster(std::move(*predictor));
  EvaluateOptions evaluation;
  evaluation.from_s = submit_point_s(jobs, options.from_fraction);
  std::optional<Progress> line(std::in_place, precisions_text(precisions), jobs.size());
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

nlohmann::json to_json(const Evaluation& e) {
  return {{"backend", e.backend},
          {"jobs", e.auspex.jobs},
          {"accuracy", e.auspex.accuracy},
          {"mae_h", e.auspex.mae_h},
          {"coverage",
           {{"p90", e.applied[0].jobs}, {"p95", e.applied[1].jobs}, {"p99", e.applied[2].jobs}}},
          {"requested_hours_ratio", e.requested_hours_ratio}};
}

void print_row(const Evaluation& e) {
  std::printf("%-16s %8llu %9.4f %8.3f %8.4f %8.4f %8.4f %9.3f\n", e.backend.c_str(),
              static_cast<unsigned long long>(e.auspex.jobs), e.auspex.accuracy, e.auspex.mae_h,
              e.applied[0].jobs, e.applied[1].jobs, e.applied[2].jobs, e.requested_hours_ratio);
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
  const Result<Evaluation> before =
      worth(content, precisions_of(Precision::kFp32, layers), history->jobs, options);
  if (!before) return before.error();
  const Result<Evaluation> after = worth(content, *precisions, history->jobs, options);
  if (!after) return after.error();
  const double loss = loss_of(*before, *after);
  const bool accepted = loss <= options.most_loss;
  content.precisions = *precisions;
  if (accepted) {
    if (Status written = write_model_file(options.out, content); !written) return written.error();
  }

  if (options.json) {
    const nlohmann::json json = {{"before", to_json(*before)},
                                 {"after", to_json(*after)},
                                 {"loss", loss},
                                 {"most_loss", options.most_loss},
                                 {"written", accepted}};
    std::puts(json.dump().c_str());
    return accepted ? 0 : kNo;
  }
  std::printf("%-16s %8s %9s %8s %8s %8s %8s %9s\n", "", "jobs", "accuracy", "mae h", "p90", "p95",
              "p99", "requested");
  print_row(*before);
  print_row(*after);
  if (accepted) {
    std::printf("%s costs %.4f of accuracy or coverage, at most %.4f is accepted: written to %s\n",
                options.precision.c_str(), loss, options.most_loss, options.out.c_str());
  } else {
    std::printf(
        "%s costs %.4f of accuracy or coverage, at most %.4f is accepted: nothing is written\n",
        options.precision.c_str(), loss, options.most_loss);
  }
  return accepted ? 0 : kNo;
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
