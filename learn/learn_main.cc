// SPDX-License-Identifier: Apache-2.0
// auspex-learn: what of the auspex command needs libtorch, or evaluates: train, evaluate, quantize
// and learn.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <string_view>
#include <utility>

#include "learn/commands.h"
#include "shared/progress.h"

namespace auspex {

int fail(const std::string& command, const std::string& message) {
  std::fprintf(stderr, "auspex %s: %s\n", command.c_str(), message.c_str());
  return kBadInput;
}

std::optional<int> parse(CLI::App& app, const std::string& command, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    return fail(command, error.what());
  }
}

Status check_out(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  if (access(folder.c_str(), W_OK) == 0 && !std::filesystem::is_directory(path)) return Done{};
  return Error{path + ": no file can be written there"};
}

int64_t creation_time_s() {
  const char* fixed = std::getenv("SOURCE_DATE_EPOCH");
  return fixed != nullptr ? std::strtoll(fixed, nullptr, 10) : int64_t{std::time(nullptr)};
}

void declare_history(CLI::App& app, HistoryArguments& arguments) {
  app.add_option("--jobs", arguments.source.paths, "histories: plain, .gz or .xz")->required();
  app.add_option("--format", arguments.format, "sacct, swf or csv")->required();
  app.add_option("--max-bad", arguments.source.read.max_bad, "share of rows that may be bad")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
}

Result<History> read_with_progress(const std::string& command, HistoryArguments& arguments) {
  const Result<JobFormat> format = parse_job_format(arguments.format);
  if (!format) return format.error();
  arguments.source.format = *format;
  Result<History> history = [&] {
    Progress progress("reading", 0);
    arguments.source.read.progress = [&progress](const ReadProgress& at) {
      progress.show(at.rows, at.share());
    };
    return read_history(arguments.source);
  }();
  if (!history) return history.error();
  for (const std::string& complaint : history->report.complaints) {
    std::fprintf(stderr, "auspex %s: warning: %s\n", command.c_str(), complaint.c_str());
  }
  return history;
}

}  // namespace auspex

int main(int argc, char** argv) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  try {
    if (command == "train") return auspex::train_command(argc - 1, argv + 1);
    if (command == "evaluate") return auspex::evaluate_command(argc - 1, argv + 1);
    if (command == "quantize") return auspex::quantize_command(argc - 1, argv + 1);
    if (command == "learn") return auspex::follow_command(argc - 1, argv + 1);
    if (command == "bench-peers") return auspex::bench_peers_command(argc - 1, argv + 1);
  } catch (const std::exception& failure) {  // out of memory, above all
    return auspex::fail(std::string(command), failure.what());
  }
  std::fputs("auspex-learn: started by the auspex command: train, evaluate, quantize, learn\n",
             stderr);
  return auspex::kBadInput;
}
