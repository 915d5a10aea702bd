// SPDX-License-Identifier: Apache-2.0
// auspex: the command.
#include <array>
#include <cstdio>
#include <string>
#include <string_view>

#include "cli/command.h"

namespace auspex::cli {
namespace {

struct Command {
  std::string_view name;
  const char* summary;
  int (*run)(const Words& words);
};

constexpr std::array<Command, 12> kCommands = {{
    {"dry-run", "what would happen to a submission, and why", dry_run},
    {"train", "fit a runtime model on a site's history", train},
    {"evaluate", "a model's accuracy against the baselines", evaluate_model},
    {"quantize", "a faster model, if it predicts as well", quantize},
    {"learn", "go on fitting the model as the daemon's jobs end", learn},
    {"feed", "tell the daemon what past jobs did", feed},
    {"explain", "what was done to a job, and why", explain_job},
    {"status", "what the daemon is doing", status},
    {"check-config", "whether a configuration is sound", check_config},
    {"model", "model show FILE: what a model file holds", model},
    {"graph", "what a deep-learning model needs on a card", graph},
    {"bench", "how long a prediction takes here, beside others' libraries", bench},
}};

int print_help() {
  std::puts(
      "Usage: auspex COMMAND [OPTIONS]\n\nPredicts how long Slurm jobs run and tightens "
      "their time limits.\n\nCommands:");
  for (const Command& command : kCommands) {
    std::printf("  %-14.*s%s\n", static_cast<int>(command.name.size()), command.name.data(),
                command.summary);
  }
  std::puts(
      "\nauspex COMMAND --help tells more; --json, where there is an answer, prints one JSON\n"
      "object. Exit codes: 0 done, 1 the answer is no, 2 bad usage or bad input.");
  return kDone;
}

int run(const Words& words) {
  if (words.empty()) return fail("no command given (see auspex --help)");
  const std::string& name = words[0];
  if (name == "--help" || name == "-h" || name == "help") return print_help();
  if (name == "--version") {
    std::puts("auspex " AUSPEX_VERSION);
    return kDone;
  }
  for (const Command& command : kCommands) {
    if (name == command.name) return command.run({words.begin() + 1, words.end()});
  }
  return fail("'" + name + "' is no command (see auspex --help)");
}

}  // namespace
}  // namespace auspex::cli

int main(int argc, char** argv) {
  // An argument vector may be empty; argv[0] is then missing.
  const int code = auspex::cli::run({argv + (argc > 0 ? 1 : 0), argv + argc});
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  return written ? code : auspex::cli::fail("standard output: cannot be written");
}
