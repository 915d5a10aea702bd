// SPDX-License-Identifier: Apache-2.0
// auspex-graph: what a model file needs on a card. It reads files that anybody may have written, so
// the reading is done by a child with little memory and little time.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/graph_report.h"
#include "cli/terminal.h"
#include "graph/asked_run.h"
#include "graph/onnx_graph.h"
#include "graph/reader_limits.h"

namespace auspex::cli {
namespace {

struct Options {
  std::string file, gpu = "a100-40gb", input, mode = "inference", format = "tf32",
                    optimizer = "adam", rule = "fit";
  uint64_t batch = 1;
  double context_mib = kContextMib, headroom = 0.10;
  bool json = false, channels_last = false, tasks = false, operators = false;
};

void declare(CLI::App& app, Options& o) {
  app.add_option("MODEL", o.file, "ONNX file; weights are not read")->required();
  app.add_option("--batch", o.batch, "samples at a time")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--gpu", o.gpu, gpu_names())->capture_default_str();
  app.add_option("--input", o.input, "shape of a sample where the file leaves it open: 3x224x224");
  app.add_option("--mode", o.mode,
                 "inference, graph (what gradients need is kept) or training (one step)")
      ->check(CLI::IsMember(std::vector<std::string>(kRunModeNames.begin(), kRunModeNames.end())))
      ->capture_default_str();
  app.add_option(
         "--format", o.format,
         "tf32 (FP32, products on tensor cores, as PyTorch has it for convolutions), fp32 or "
         "half (FP16, BF16)")
      ->check(CLI::IsMember(
          std::vector<std::string>(kNumberFormatNames.begin(), kNumberFormatNames.end())))
      ->capture_default_str();
  app.add_option("--optimizer", o.optimizer, "of training: sgd, momentum or adam")
      ->check(
          CLI::IsMember(std::vector<std::string>(kOptimizerNames.begin(), kOptimizerNames.end())))
      ->capture_default_str();
  app.add_option("--context-mib", o.context_mib,
                 "memory of the driver's context and libraries, as one run on the site shows it")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  app.add_option("--headroom", o.headroom, "share of the memory that a slice must have to spare")
      ->check(CLI::Range(0.0, 10.0))
      ->capture_default_str();
  app.add_option("--rule", o.rule,
                 "what mig_profile goes by: fit (usable memory, headroom, a step's time), or dippm "
                 "(the paper's equation 2)")
      ->check(CLI::IsMember({"fit", "dippm"}))
      ->capture_default_str();
  app.add_flag("--channels-last", o.channels_last,
               "images lie in memory with their channels last (PyTorch's memory_format)");
  app.add_flag("--json", o.json, "print one JSON object");
  app.add_flag("--tasks", o.tasks, "in the JSON object, all kernels one by one");
  app.add_flag("--operators", o.operators, "in the JSON object, all operators and who reads whom");
}

// Never waits, as opening a FIFO would.
Result<int> open_file(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return Error{path + ": " + std::strerror(errno)};
  return fd;
}

int report(const Options& o, int fd) {
  auto asked = asked_run({o.file, o.gpu, o.input, o.mode, o.format, o.optimizer,
                          static_cast<uint32_t>(o.batch), o.context_mib});
  if (!asked) return fail("graph: " + asked.error().message);
  asked->config.channels_last = o.channels_last;
  const Result<OperatorGraph> read = read_onnx(fd, asked->input);
  if (!read) return fail(o.file + ": " + read.error().message);
  if (const auto why = no_answer(*read)) return fail(o.file + ": " + *why, kNo);
  const Gpu& gpu = *asked->gpu;
  const GraphReport made = {*read,
                            gpu,
                            asked->config,
                            o.context_mib,
                            o.headroom,
                            o.rule == "dippm",
                            estimate(*read, gpu, asked->config, o.context_mib),
                            slice_latencies_ms(*read, gpu, asked->config)};
  if (o.json) {
    print_json(graph_json(made, {o.tasks, o.operators}));
  } else {
    print_graph(made);
  }
  return kDone;
}

// In a child, because a library that a strange file leads astray ends only that.
int report_apart(const Options& o, int fd) {
  const pid_t child = fork();
  if (child < 0) return fail(std::string("graph: no process: ") + std::strerror(errno));
  if (child == 0) {
    limit_reader();
    int code = kBad;
    try {
      code = report(o, fd);
    } catch (const std::exception& exception) {
      code = fail(o.file + ": " + exception.what());
    }
    std::fflush(stdout);
    _exit(code);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  const int signal = WTERMSIG(status);
  return fail(o.file +
              (signal == SIGXCPU || signal == SIGKILL
                   ? ": reading it took more than " + std::to_string(kMostReaderSeconds) + " s"
                   : std::string(": reading it failed: ") + strsignal(signal)));
}

int run(const Words& words) {
  Options options;
  CLI::App app(
      "What a deep-learning model needs on a card, and which MIG slice it fits, without running\n"
      "it: from its operators, the card's data sheet and the order in which memory is taken.",
      "auspex graph");
  declare(app, options);
  if (const auto code = parse_words(app, words)) return *code;
  if (!gpu_named(options.gpu)) {
    return fail("graph: --gpu: '" + options.gpu + "' is not known; allowed: " + gpu_names());
  }
  const Result<int> fd = open_file(options.file);
  if (!fd) return fail(fd.error().message);
  const int code = report_apart(options, *fd);
  close(*fd);
  return code;
}

}  // namespace
}  // namespace auspex::cli

int main(int argc, char** argv) {
  // argv[1] is the command's name, as auspex hands it over.
  return auspex::cli::run({argv + std::min(argc, 2), argv + argc});
}
