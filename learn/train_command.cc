// SPDX-License-Identifier: Apache-2.0
// auspex train: fits a runtime model on a site's history.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "learn/commands.h"
#include "learn/fit_pointer.h"
#include "learn/trainer.h"
#include "shared/model_file.h"
#include "shared/progress.h"

namespace auspex {
namespace {

struct Options {
  HistoryArguments history;
  std::string out;
  std::string network = "pointer";
  double until_fraction = 1;
  std::optional<uint32_t> epochs, batch;
  bool no_ids = false;
  bool json = false;
  TrainOptions mlp;
  FitOptions pointer;
};

void declare(CLI::App& app, Options& options) {
  constexpr uint32_t kMaxWidth = 16384;  // Source: the widest layer that ModelFile::open takes
  declare_history(app, options.history);
  app.add_option("--out", options.out, "where the model goes")->required();
  app.add_option("--until-fraction", options.until_fraction,
                 "learn from jobs completed before this share of the submissions")
      ->check(CLI::Range(0.01, 1.0))
      ->capture_default_str();
  app.add_option(
         "--network", options.network,
         "pointer: reads the history of each user's jobs; mlp: only the request, as the paper")
      ->check(CLI::IsMember({"pointer", "mlp"}))
      ->capture_default_str();
  app.add_option("--epochs", options.epochs, "passes (pointer: 2; mlp: at most 100)")
      ->check(CLI::Range(1U, 100000U));
  app.add_option("--batch", options.batch, "jobs per step (pointer: 256; mlp: 128)")
      ->check(CLI::Range(2U, 1U << 20));
  app.add_option("--hidden", options.mlp.hidden, "mlp: widths of the hidden layers")
      ->delimiter(',')
      ->check(CLI::Range(1U, kMaxWidth))
      ->capture_default_str();
  app.add_option("--window", options.pointer.window,
                 "pointer: learn from the newest so many jobs; older ones are history only")
      ->check(CLI::Range(100U, 100'000'000U))
      ->capture_default_str();
  app.add_flag("--no-ids", options.no_ids, "pointer: a model that knows no site's names");
  app.add_option("--seed", options.mlp.seed, "equal seeds give equal models")
      ->capture_default_str();
  app.add_option("--threads", options.mlp.threads, "more than one pays only on an idle machine")
      ->check(CLI::Range(1U, 1024U))
      ->capture_default_str();
  app.add_flag("--json", options.json, "print one JSON object");
}

std::string day(int64_t time_s) {
  const auto time = static_cast<time_t>(time_s);
  tm local{};
  char text[32] = "";
  if (localtime_r(&time, &local) != nullptr) std::strftime(text, sizeof(text), "%F", &local);
  return text;
}

struct Trained {
  ModelContent content;
  size_t jobs = 0;
  int64_t first_s = 0, last_s = 0;  // their submissions, seconds since the epoch
  nlohmann::json details;           // what the network's own training says of itself
  std::string summary;
};

// One line for people who look at the model later: which files, how many jobs, from when to when.
std::string description(const Options& options, const Trained& trained) {
  std::string text;
  for (const std::string& path : options.history.source.paths) {
    text += (text.empty() ? "" : ", ") + std::filesystem::path(path).filename().string();
  }
  return text + ": " + std::to_string(trained.jobs) + " jobs, " + day(trained.first_s) + " to " +
         day(trained.last_s);
}

double share_of(uint32_t epoch, uint64_t done, uint64_t jobs, uint32_t epochs) {
  return (epoch - 1 + static_cast<double>(done) / static_cast<double>(jobs)) / epochs;
}

Result<Trained> train_mlp(const Options& options, const std::vector<HistoryJob>& jobs) {
  const Vocabulary vocabulary = Vocabulary::of(jobs);
  std::optional<Progress> line(std::in_place, "training", 0);
  const bool terminal = isatty(STDERR_FILENO) == 1;
  Result<TrainedNetwork> network =
      train_network(jobs, vocabulary, options.mlp, [&](const TrainProgress& p) {
        line->show((p.epoch - 1) * p.jobs + p.jobs_done,
                   share_of(p.epoch, p.jobs_done, p.jobs, options.mlp.epochs));
        if (p.epoch_ended && !terminal) {
          std::fprintf(stderr, "epoch %u: loss %.4f, validation %.4f%s\n", p.epoch, p.train_loss,
                       p.validation_loss, p.best ? ", best" : "");
        }
      });
  line.reset();
  if (!network) return network.error();
  Trained trained;
  trained.jobs = jobs.size();
  trained.first_s = jobs.front().request.submit_s;
  trained.last_s = jobs.back().request.submit_s;
  vocabulary.describe(trained.content);
  trained.content.layers = std::move(network->layers);
  trained.details = {{"epochs", network->epochs},
                     {"validation_loss", network->best_validation_loss},
                     {"fold_difference", network->fold_difference}};
  char text[100];
  std::snprintf(text, sizeof(text), "%u epochs, validation loss %.4f", network->epochs,
                network->best_validation_loss);
  trained.summary = text;
  return trained;
}

Result<Trained> train_pointer(const Options& options, const std::vector<HistoryJob>& jobs,
                              int64_t until_s) {
  FitOptions fit = options.pointer;
  fit.until_s = until_s;
  fit.ids = !options.no_ids;
  std::optional<Progress> line(std::in_place, "training", 0);
  double loss = 0;
  FitProgress progress;
  progress.fitted = [&](const PointerProgress& p) {
    loss += 0.01 * (p.loss - loss);
    line->show((p.epoch - 1) * p.jobs + p.jobs_done,
               share_of(p.epoch, p.jobs_done, p.jobs, fit.training.epochs));
  };
  progress.rehearsed = [&](uint64_t submission) {
    if (submission == 1) line.emplace("rehearsing", jobs.size());
    line->advance();
  };
  Result<FittedPointer> fitted = fit_pointer(jobs, fit, progress);
  line.reset();
  if (!fitted) return fitted.error();
  Trained trained;
  trained.jobs = fitted->jobs;
  trained.first_s = fitted->first_s;
  trained.last_s = fitted->last_s;
  trained.content = std::move(fitted->content);
  const Scores& rehearsed = fitted->rehearsed;
  trained.details = {
      {"epochs", fit.training.epochs},
      {"loss", loss},
      {"rehearsal",
       {{"jobs", rehearsed.jobs}, {"accuracy", rehearsed.accuracy}, {"mae_h", rehearsed.mae_h}}}};
  char text[100];
  std::snprintf(text, sizeof(text), "the newest %llu predicted with accuracy %.3f, MAE %.2f h",
                static_cast<unsigned long long>(rehearsed.jobs), rehearsed.accuracy,
                rehearsed.mae_h);
  trained.summary = text;
  return trained;
}

Result<Trained> train(Options& options) {
  if (Status writable = check_out(options.out); !writable) return writable.error();
  Result<History> history = read_with_progress("train", options.history);
  if (!history) return history.error();
  const int64_t until_s = submit_point_s(history->jobs, options.until_fraction);
  Result<Trained> trained = options.network == "pointer"
                                ? train_pointer(options, history->jobs, until_s)
                                : train_mlp(options, completed_before(history->jobs, until_s));
  if (!trained) {
    return Error{options.history.source.paths.front() + ": " + trained.error().message};
  }
  trained->content.trained_on = description(options, *trained);
  trained->content.created_s = creation_time_s();
  if (Status written = write_model_file(options.out, trained->content); !written) {
    return written.error();
  }
  return trained;
}

void report(const Options& options, const Trained& trained, double seconds) {
  if (options.json) {
    nlohmann::json json = trained.details;
    json["model"] = options.out;
    json["network"] = options.network;
    json["jobs"] = trained.jobs;
    json["seconds"] = seconds;
    std::puts(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return;
  }
  std::printf("%s: %zu jobs, %s, %.1f s\n", options.out.c_str(), trained.jobs,
              trained.summary.c_str(), seconds);
}

}  // namespace

int train_command(int argc, char** argv) {
  Options options;
  CLI::App app("Fits a runtime model on a site's history.", "auspex train");
  declare(app, options);
  if (const auto code = parse(app, "train", argc, argv)) return *code;
  options.pointer.training.seed = options.mlp.seed;
  options.pointer.training.threads = options.mlp.threads;
  if (options.epochs) options.mlp.epochs = options.pointer.training.epochs = *options.epochs;
  if (options.batch) options.mlp.batch = options.pointer.training.batch = *options.batch;
  const auto start = std::chrono::steady_clock::now();
  const Result<Trained> trained = train(options);
  if (!trained) return fail("train", trained.error().message);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  report(options, *trained, elapsed.count());
  return 0;
}

}  // namespace auspex
