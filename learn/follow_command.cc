// SPDX-License-Identifier: Apache-2.0
// auspex learn: the learner beside a daemon.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "learn/commands.h"
#include "learn/follower.h"
#include "shared/config_yaml.h"
#include "shared/history/snapshot.h"

namespace auspex {
namespace {

struct Options {
  std::string config = "/etc/auspex/auspex.yaml";
  bool follow = false;
  FollowOptions learner;
};

void print(const FollowPass& pass) {
  std::printf("%zu jobs ended: loss %.3f, of the model in use %.3f: %s\n", pass.jobs, pass.loss,
              pass.published_loss, pass.published ? ("published " + pass.model).c_str() : "kept");
  std::fflush(stdout);
}

// The saved history and the journal that goes on from it. The daemon replaces both now and then,
// one after the other: for a moment they may not belong together.
Result<JournalReader> open_together(const Config& config, Follower& follower) {
  constexpr int kTries = 20;
  for (int attempt = 1;; ++attempt) {
    const Result<uint64_t> base = journal_base_of(config.history.state);
    if (!base) return base.error();
    Result<JournalReader> journal = JournalReader::open(config.history.state + ".journal");
    if (!journal) return journal.error();
    if (journal->base() == *base) {
      HistoryCapacity capacity;
      capacity.keys = config.history.keys;
      if (*base == 0) {
        follower.use(JobHistory(capacity));
        return journal;
      }
      Result<JobHistory> history = load_history(config.history.state, capacity);
      if (history) {
        follower.use(std::move(*history));
        return journal;
      }
      if (attempt == kTries) return history.error();
    } else if (attempt == kTries) {
      return Error{config.history.state + ": its journal goes on from another saved history"};
    }
    ::usleep(100'000);
  }
}

Status run(const Options& options) {
  const Result<Config> config = load_config(options.config);
  if (!config) return config.error();
  if (config->history.state.empty()) {
    return Error{options.config + ": history.state is empty: the daemon keeps no journal"};
  }
  FollowOptions learner = options.learner;
  learner.model = config->model;
  Result<std::unique_ptr<Follower>> follower = Follower::start(learner);
  if (!follower) return follower.error();
  Result<JournalReader> journal = open_together(*config, **follower);
  if (!journal) return journal.error();
  for (;;) {
    constexpr size_t kBlock = 1024;
    const Result<std::vector<HistoryEvent>> events = journal->read(kBlock);
    if (!events) return events.error();
    for (const HistoryEvent& event : *events) {
      if (Status taken = (*follower)->take(event, print); !taken) return taken;
    }
    if (!events->empty()) continue;
    if (journal->replaced()) {
      Result<JournalReader> next = open_together(*config, **follower);
      if (!next) return next.error();
      journal = std::move(next);
      continue;
    }
    if (!options.follow) return Done{};
    constexpr unsigned kPollS = 2;
    ::sleep(kPollS);
  }
}

}  // namespace

int follow_command(int argc, char** argv) {
  Options options;
  CLI::App app(
      "Goes on fitting the daemon's model on the jobs that end, and publishes what predicts "
      "better.",
      "auspex learn");
  app.add_option("--config", options.config, "the daemon's configuration: model and history")
      ->capture_default_str();
  app.add_flag("--follow", options.follow, "stay, and learn as jobs end");
  app.add_option("--every", options.learner.every, "submissions and starts between two passes")
      ->check(CLI::Range(10U, 1'000'000U))
      ->capture_default_str();
  app.add_option("--threads", options.learner.training.threads,
                 "more than one pays only on an idle machine")
      ->check(CLI::Range(1U, 1024U))
      ->capture_default_str();
  app.add_option("--seed", options.learner.training.seed, "of the order of learning")
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    return fail("learn", error.what());
  }
  const Status done = run(options);
  return done ? 0 : fail("learn", done.error().message);
}

}  // namespace auspex
