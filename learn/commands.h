// SPDX-License-Identifier: Apache-2.0
// The commands of auspex-learn, which the auspex command hands over to.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "learn/dataset.h"

namespace CLI {
class App;
}

namespace auspex {

inline constexpr int kBadInput = 2;

int train_command(int argc, char** argv);
int evaluate_command(int argc, char** argv);
int quantize_command(int argc, char** argv);
int follow_command(int argc, char** argv);
// For auspex bench alone: see learn/bench_peers.h.
int bench_peers_command(int argc, char** argv);

// "auspex COMMAND: MESSAGE" on stderr; returns kBadInput.
int fail(const std::string& command, const std::string& message);

// nullopt: go on. Otherwise the command is over with this exit code.
std::optional<int> parse(CLI::App& app, const std::string& command, int argc, char** argv);

// Before minutes of work, not after them. Errors: no file can be written there.
Status check_out(const std::string& path);

// Of a model that is written now, in seconds since the epoch. Source: reproducible-builds.org,
// SOURCE_DATE_EPOCH: equal inputs can give equal files.
int64_t creation_time_s();

struct HistoryArguments {
  HistorySource source;
  std::string format;
};
void declare_history(CLI::App& app, HistoryArguments& arguments);

// What is read, with a line of progress; complaints go to stderr.
// Errors: those of read_history; a format that does not exist.
Result<History> read_with_progress(const std::string& command, HistoryArguments& arguments);

}  // namespace auspex
