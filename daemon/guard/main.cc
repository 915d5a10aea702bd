// SPDX-License-Identifier: Apache-2.0
// auspex-guard: started by auspexd, ends with it. Keeps rewritten limits from killing anybody.
#include <signal.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>

#include "daemon/guard/guard.h"
#include "shared/config_yaml.h"

namespace auspex {
namespace {

struct Options {
  std::string config = "/etc/auspex/auspex.yaml", socket;
  pid_t parent = 0;  // 0: of its own
};

void start_logging() {
  spdlog::set_default_logger(spdlog::stderr_color_st("auspex-guard"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
}

sigset_t take_over_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// nullopt: a second passed.
std::optional<int> wait_for_signal(const sigset_t& signals) {
  const timespec second = {1, 0};
  const int signal = ::sigtimedwait(&signals, nullptr, &second);
  return signal > 0 ? std::optional<int>(signal) : std::nullopt;
}

constexpr std::chrono::seconds kGiveUp{120};

// Jobs are guarded with the defaults rather than not at all.
void read_config(const Options& options, Guard& guard) {
  const auto config = load_config(options.config);
  if (!config) spdlog::error("guard: {}", config.error().message);
  guard.use(config ? *config : Config{},
            config ? std::nullopt : std::optional("configuration: " + config.error().message));
}

int run(const Options& options) {
  const sigset_t signals = take_over_signals();
  if (options.parent != 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != options.parent) return 0;  // it has ended meanwhile
  }
  ::setpriority(PRIO_PROCESS, 0, 0);  // the daemon may go before slurmctld, its guard need not
  start_logging();
  Guard guard(options.socket.empty() ? Config{}.socket : options.socket, Slurm::open());
  read_config(options, guard);
  // One that starts anew reads slurm.conf again.
  while (guard.unreachable_for() < kGiveUp) {
    guard.tick();
    const auto signal = wait_for_signal(signals);
    if (!signal) continue;
    if (*signal != SIGHUP) return 0;
    read_config(options, guard);
  }
  spdlog::error("guard: slurmctld has not answered for {} s", kGiveUp.count());
  return 1;
}

}  // namespace
}  // namespace auspex

int main(int argc, char** argv) {
  auspex::Options options;
  CLI::App app{"auspex-guard: raises rewritten time limits before they expire; auspexd starts it"};
  app.set_version_flag("--version", AUSPEX_VERSION);
  app.add_option("--config", options.config, "configuration file")->capture_default_str();
  app.add_option("--socket", options.socket, "the daemon's");
  app.add_option("--parent", options.parent, "end when this process, which started it, ends");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? 0 : 2;
  }
  return auspex::run(options);
}
