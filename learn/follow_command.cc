// SPDX-License-Identifier: Apache-2.0
// auspex learn: the learner beside a daemon.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "learn/commands.h"
#include "learn/follower.h"
#include "shared/config_yaml.h"
#include "shared/history/kept.h"

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

Result<KeptHistory> open(const Config& config) {
  HistoryCapacity capacity;
  capacity.keys = config.history.keys;
  return open_kept_history(config.history.state, capacity);
}

// Everything that the journal holds by now.
Status take_all(JournalReader& journal, Follower& follower) {
  constexpr size_t kBlock = 1024;
  for (;;) {
    const Result<std::vector<HistoryEvent>> events = journal.read(kBlock);
    if (!events) return events.error();
    if (events->empty()) return Done{};
    for (const HistoryEvent& event : *events) {
      if (Status taken = follower.take(event, print); !taken) return taken;
    }
  }
}

Status learn_what_is_there(const Config& config, Follower& follower) {
  Result<KeptHistory> kept = open(config);
  if (!kept) return kept.error();
  follower.use(std::move(kept->history));
  if (!kept->journal) return Done{};
  return take_all(*kept->journal, follower);
}

// A daemon that ends takes its journal away; the next one brings another.
Status follow(const Config& config, Follower& follower) {
  constexpr unsigned kPollS = 2;
  for (;; ::sleep(kPollS)) {
    Result<KeptHistory> kept = open(config);
    if (!kept || !kept->journal) continue;
    follower.use(std::move(kept->history));
    do {
      if (Status taken = take_all(*kept->journal, follower); !taken) return taken;
      ::sleep(kPollS);
    } while (!kept->journal->replaced());
    // What was still written before it was replaced.
    if (Status taken = take_all(*kept->journal, follower); !taken) return taken;
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
  return options.follow ? follow(*config, **follower) : learn_what_is_there(*config, **follower);
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
  if (const auto code = parse(app, "learn", argc, argv)) return *code;
  const Status done = run(options);
  return done ? 0 : fail("learn", done.error().message);
}

}  // namespace auspex
