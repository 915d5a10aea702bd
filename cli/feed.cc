// SPDX-License-Identifier: Apache-2.0
// auspex feed: tells the daemon what past jobs did, so that it does not begin with an empty memory.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "cli/command.h"
#include "cli/decision_output.h"
#include "cli/feeder.h"
#include "cli/job_order.h"
#include "cli/number_options.h"
#include "cli/terminal.h"
#include "shared/progress.h"

namespace auspex::cli {
namespace {

struct Options {
  std::optional<std::string> socket, config;
  std::string format;
  JobFile file;
  uint64_t skip = 0, limit = std::numeric_limits<uint64_t>::max();
  bool decide = false, json = false;
};

std::optional<int> read_options(const Words& words, Options& options) {
  CLI::App app(
      "Plays the jobs of a file to the daemon in the order of time: it then knows of them what it\n"
      "would know had it been there.",
      "auspex feed");
  app.add_option("--jobs", options.file.path, "the jobs: plain, .gz or .xz")->required();
  app.add_option("--format", options.format, "the file's: sacct, swf or csv")->required();
  app.add_option("--socket", options.socket, "the daemon's socket, instead of the configuration's");
  app.add_option("--config", options.config, std::string("configuration; ") + kDefaultConfig);
  app.add_flag("--decide", options.decide, "let the daemon decide each submission");
  add_count(app, "--skip", options.skip,
            "the daemon knows the first so many submissions, and what happened up to the last");
  add_count(app, "--limit", options.limit, "stop after so many submissions more");
  add_share(app, "--max-bad", options.file.read.max_bad, "share of rows that may be bad");
  app.add_flag("--json", options.json,
               "print one JSON object, with --decide one for each decision");
  return parse_words(app, words);
}

// Until nothing of what was told would be lost with the daemon.
Status wait_for_journal(const std::string& socket) {
  const auto give_up = std::chrono::steady_clock::now() + Feeder::kTimeout;
  for (;;) {
    const Result<std::string> answer = ipc::request_status(socket, Feeder::kTimeout);
    if (!answer) return answer.error();
    const nlohmann::json status = nlohmann::json::parse(*answer, nullptr, false);
    const nlohmann::json journal =
        status.is_object() ? status.value("/history/journal"_json_pointer, nlohmann::json())
                           : nlohmann::json();
    const uint64_t unwritten =
        journal.is_object() ? journal.value("unwritten", uint64_t{0}) : uint64_t{0};
    if (unwritten == 0) return Done{};
    if (std::chrono::steady_clock::now() > give_up) {
      return Error{"the daemon at " + socket + " has not written " + std::to_string(unwritten) +
                   " events to its journal"};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

class Feed {
 public:
  Feed(const Options& options, ipc::Client& client) : options_(options), feeder_(client) {}

  Status run(const JobOrder& order, uint64_t jobs) {
    {
      Progress progress("feeding", jobs, isatty(STDOUT_FILENO) == 0 || !options_.decide);
      Status played = order.play(options_.file, [&](JobRecord&& job) {
        progress.advance();
        if (told_.ok() && submitted_ < options_.limit) told_ = take(std::move(job));
      });
      if (!played) return played;
    }
    if (!told_) return told_;
    const bool all = submitted_ < options_.limit;
    return all ? feeder_.finish() : feeder_.flush();
  }

  void summarise() const {
    if (options_.json) {
      if (options_.decide) return;
      print_json({{"submissions", submitted_}, {"events", feeder_.events()}});
    } else {
      print_fields({{"submissions", std::to_string(submitted_)},
                    {"events told", std::to_string(feeder_.events())},
                    {"decided", std::to_string(options_.decide ? submitted_ : 0)},
                    {"changed", std::to_string(changed_)}});
    }
  }
  size_t unknown_names() const { return feeder_.unknown_names(); }

 private:
  Status take(JobRecord&& job) {
    const bool skipped = skipped_ < options_.skip;
    feeder_.tell(!skipped);
    ++(skipped ? skipped_ : submitted_);
    if (skipped || !options_.decide) return feeder_.submit(std::move(job));
    const Result<Edits> edits = feeder_.decide(job);
    if (!edits) return edits.error();
    nlohmann::json decision = edits_json(job.submission, *edits);
    changed_ += decision["changed"].get<bool>() ? 1 : 0;
    if (options_.json) print_json({{"id", job.id}, {"decision", std::move(decision)}});
    return Done{};
  }

  const Options& options_;
  Feeder feeder_;
  Status told_ = Done{};
  uint64_t skipped_ = 0, submitted_ = 0, changed_ = 0;
};

}  // namespace

int feed(const Words& words) {
  Options options;
  if (const auto code = read_options(words, options)) return *code;
  const Result<JobFormat> format = parse_job_format(options.format);
  if (!format) return fail("feed: " + format.error().message);
  options.file.format = *format;
  const Result<std::string> socket = socket_path(options.socket, options.config);
  if (!socket) return fail("feed: " + socket.error().message);

  JobOrder order;
  const Result<ReadReport> known = order.learn(options.file);
  if (!known) return fail("feed: " + known.error().message);
  ipc::Client client(*socket);
  Feed feeding(options, client);
  if (Status fed = feeding.run(order, known->jobs); !fed) {
    return fail("feed: " + fed.error().message, kNo);
  }
  if (Status kept = wait_for_journal(*socket); !kept) {
    return fail("feed: " + kept.error().message, kNo);
  }
  Words warnings = known->complaints;
  if (feeding.unknown_names() > 0) {
    warnings.push_back(std::to_string(feeding.unknown_names()) +
                       " users or groups of the file are not known here: their jobs count for "
                       "their account only");
  }
  print_warnings(warnings);
  feeding.summarise();
  return kDone;
}

}  // namespace auspex::cli
