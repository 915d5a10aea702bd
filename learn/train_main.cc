// SPDX-License-Identifier: Apache-2.0
// auspex-train: fits a runtime model on a site's history. `auspex train` starts it.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "learn/dataset.h"
#include "learn/progress_line.h"
#include "learn/trainer.h"
#include "learn/vocabulary.h"
#include "shared/model_file.h"

namespace {

using auspex::Error;
using auspex::HistoryJob;
using auspex::Result;

constexpr int kBadInput = 2;

struct Options {
  auspex::HistorySource history;
  std::string format;
  std::string out;
  double until_fraction = 1;
  bool json = false;
  auspex::TrainOptions train;
};

void declare(CLI::App& app, Options& options) {
  constexpr uint32_t kMaxWidth = 16384;  // Source: the widest layer that ModelFile::open takes
  app.add_option("--jobs", options.history.paths, "histories: plain, .gz or .xz")->required();
  app.add_option("--format", options.format, "sacct, swf or csv")->required();
  app.add_option("--out", options.out, "where the model goes")->required();
  app.add_option("--until-fraction", options.until_fraction,
                 "learn from jobs completed before this share of the submissions")
      ->check(CLI::Range(0.01, 1.0))
      ->capture_default_str();
  app.add_option("--hidden", options.train.hidden, "widths of the hidden layers")
      ->delimiter(',')
      ->check(CLI::Range(1U, kMaxWidth))
      ->capture_default_str();
  app.add_option("--epochs", options.train.epochs, "at most this many")
      ->check(CLI::Range(1U, 100000U))
      ->capture_default_str();
  app.add_option("--batch", options.train.batch, "jobs per step")
      ->check(CLI::Range(2U, 1U << 20))
      ->capture_default_str();
  app.add_option("--seed", options.train.seed, "equal seeds give equal models")
      ->capture_default_str();
  app.add_option("--threads", options.train.threads, "more than one pays only on an idle machine")
      ->check(CLI::Range(1U, 1024U))
      ->capture_default_str();
  app.add_option("--max-bad", options.history.read.max_bad, "share of rows that may be bad")
      ->check(CLI::Range(0.0, 1.0))
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

// One line for people who look at the model later: which files, how many jobs, from when to when.
std::string description(const Options& options, const std::vector<HistoryJob>& jobs) {
  std::string text;
  for (const std::string& path : options.history.paths) {
    text += (text.empty() ? "" : ", ") + std::filesystem::path(path).filename().string();
  }
  return text + ": " + std::to_string(jobs.size()) + " jobs, " + day(jobs.front().submit_s) +
         " to " + day(jobs.back().submit_s);
}

// Source: reproducible-builds.org, SOURCE_DATE_EPOCH: equal inputs can give equal files.
int64_t creation_time_s() {
  const char* fixed = std::getenv("SOURCE_DATE_EPOCH");
  return fixed != nullptr ? std::strtoll(fixed, nullptr, 10) : int64_t{std::time(nullptr)};
}

struct Trained {
  size_t jobs = 0;
  auspex::TrainedNetwork network;
  double seconds = 0;
};

// Before minutes of training, not after them.
auspex::Status check_out(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  if (access(folder.c_str(), W_OK) == 0 && !std::filesystem::is_directory(path)) {
    return auspex::Done{};
  }
  return Error{path + ": no file can be written there"};
}

Result<Trained> train(const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  if (auspex::Status writable = check_out(options.out); !writable) return writable.error();
  Result<auspex::History> history = auspex::read_history(options.history);
  if (!history) return history.error();
  for (const std::string& complaint : history->report.complaints) {
    std::fprintf(stderr, "auspex train: warning: %s\n", complaint.c_str());
  }
  std::vector<HistoryJob> jobs = std::move(history->jobs);
  if (options.until_fraction < 1) {
    jobs = auspex::completed_before(jobs, auspex::submit_point_s(jobs, options.until_fraction));
  }
  const auspex::Vocabulary vocabulary = auspex::Vocabulary::of(jobs);
  auspex::ProgressLine line(options.train.epochs);
  Result<auspex::TrainedNetwork> network = auspex::train_network(
      jobs, vocabulary, options.train,
      [&line](const auspex::TrainProgress& progress) { line.show(progress); });
  line.clear();
  if (!network) return Error{options.history.paths.front() + ": " + network.error().message};

  auspex::ModelContent content;
  content.trained_on = description(options, jobs);
  content.created_s = creation_time_s();
  vocabulary.describe(content);
  content.layers = network->layers;
  if (auspex::Status written = auspex::write_model_file(options.out, content); !written) {
    return written.error();
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return Trained{jobs.size(), std::move(*network), elapsed.count()};
}

void report(const Options& options, const Trained& trained) {
  if (options.json) {
    const nlohmann::json json = {{"model", options.out},
                                 {"jobs", trained.jobs},
                                 {"epochs", trained.network.epochs},
                                 {"seconds", trained.seconds},
                                 {"validation_loss", trained.network.best_validation_loss},
                                 {"fold_difference", trained.network.fold_difference}};
    std::puts(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return;
  }
  std::printf("%s: %zu jobs, %u epochs, validation loss %.4f, %.1f s\n", options.out.c_str(),
              trained.jobs, trained.network.epochs, trained.network.best_validation_loss,
              trained.seconds);
}

int fail(const std::string& message) {
  std::fprintf(stderr, "auspex train: %s\n", message.c_str());
  return kBadInput;
}

int run(int argc, char** argv) {
  Options options;
  CLI::App app("Fits a runtime model on a site's history.", "auspex train");
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    return fail(error.what());
  }
  Result<auspex::JobFormat> format = auspex::parse_job_format(options.format);
  if (!format) return fail(format.error().message);
  options.history.format = *format;
  Result<Trained> trained = train(options);
  if (!trained) return fail(trained.error().message);
  report(options, *trained);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const std::exception& failure) {  // out of memory, above all
    return fail(failure.what());
  }
}
