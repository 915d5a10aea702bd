// SPDX-License-Identifier: Apache-2.0
// What the commands have in common: their words, their exit codes, how they say what is wrong.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "shared/config.h"
#include "shared/result.h"

namespace CLI {
class App;
}

namespace auspex::cli {

using Words = std::vector<std::string>;

inline constexpr char kDefaultConfig[] = "/etc/auspex/auspex.yaml";

// Source: contracts of the command line; every command ends with one of these.
inline constexpr int kDone = 0;
inline constexpr int kNo = 1;
inline constexpr int kBad = 2;

// The commands; words: what follows the command's name. They return the exit code.
int dry_run(const Words& words);
int train(const Words& words);
int evaluate_model(const Words& words);
int quantize(const Words& words);
int learn(const Words& words);
int explain_job(const Words& words);
int status(const Words& words);
int feed(const Words& words);
int check_config(const Words& words);
int model(const Words& words);
int bench(const Words& words);
int graph(const Words& words);

// nullopt: go on. Otherwise the command is over with this exit code: --help was asked for, or the
// words were wrong, which stderr says in one line.
std::optional<int> parse_words(CLI::App& app, const Words& words);

// "auspex: MESSAGE" as one line on stderr; returns the code.
int fail(const std::string& message, int code = kBad);

// One line each. Only for a command that succeeds: a failure is one line in all.
void print_warnings(const Words& warnings);

// The configuration that the daemon would read. Without --config (given: nullopt) a missing
// default file means the defaults and a warning.
Result<Config> load_config_or_defaults(const std::optional<std::string>& given, Words& warnings);

// The daemon's socket: --socket, or as the plugin finds it, before the configuration is asked.
Result<std::string> socket_path(const std::optional<std::string>& given,
                                const std::optional<std::string>& config_path);

}  // namespace auspex::cli
