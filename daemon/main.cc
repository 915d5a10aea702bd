// SPDX-License-Identifier: Apache-2.0
// auspexd: reads the configuration and the model, listens, decides, until told to stop.
#include <signal.h>
#include <spdlog/async.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "daemon/guard_process.h"
#include "daemon/reloader.h"
#include "daemon/service.h"
#include "ipc/server.h"

namespace auspex {
namespace {

struct Options {
  std::string config = "/etc/auspex/auspex.yaml";
  std::string log_level = "info";
};

// Lines that cannot be written in time are dropped: a full pipe must not hold a submission up.
void start_logging(const std::string& level) {
  spdlog::set_default_logger(
      spdlog::create_async_nb<spdlog::sinks::stderr_color_sink_mt>("auspexd"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
  spdlog::set_level(spdlog::level::from_str(level));
  spdlog::flush_on(spdlog::level::info);
}

// Blocked before any thread starts, so that all of them leave these to the loop.
int take_over_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return ::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

void announce(const Loaded& loaded) {
  for (const std::string& warning : loaded.warnings) spdlog::warn("{}", warning);
  const Config& config = loaded.engine->config();
  if (const auto* predictor = loaded.engine->predictor()) {
    spdlog::info("model {} ({}), backend {}, mode {}", predictor->model().summary().id,
                 config.model, predictor->backend(), mode_name(config.mode));
  }
}

void on_signal(int signal_fd, ipc::Server& server, Reloader& reloader) {
  signalfd_siginfo info{};
  while (::read(signal_fd, &info, sizeof(info)) == sizeof(info)) {
    if (info.ssi_signo == SIGHUP) {
      sd_notify(0, "RELOADING=1");
      reloader.request();
    } else {
      spdlog::info("stopping on {}", info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
      server.stop();
    }
  }
}

void on_measured(const Loaded& loaded, DecisionService& service) {
  for (const std::string& warning : loaded.warnings) spdlog::warn("{}", warning);
  const RuntimePredictor* predictor = loaded.engine->predictor();
  if (predictor == nullptr || predictor->routes() == nullptr) return;
  const Routes& routes = *predictor->routes();
  spdlog::info("measured: a job takes {:.1f} us by {}",
               routes.measured[routes.fastest[0]].batch_us[0], predictor->backend());
  service.compute_by(loaded.engine);
}

// first: what the daemon started with.
void on_reloaded(Reloader& reloader, const Config& first, ipc::Server& server,
                 DecisionService& service, ModelWatch& model, ModelDesk& models,
                 const GuardProcess& guard) {
  auto outcome = reloader.take();
  if (!outcome) return;
  if (!*outcome) {
    spdlog::error("reload refused, what was in use stays: {}", outcome->error().message);
    service.reload_failed();
  } else {
    Loaded& loaded = **outcome;
    if (loaded.measured_only) return on_measured(loaded, service);
    const Config& config = loaded.engine->config();
    if (config.socket != first.socket) {
      spdlog::warn("socket: a new path takes effect at the next start; still {}", first.socket);
    }
    if (config.history != first.history) {
      spdlog::warn("history: new settings take effect at the next start; still {} and {} keys",
                   first.history.state, first.history.keys);
    }
    if (config.ledger != first.ledger) {
      spdlog::warn("ledger: new settings take effect at the next start; still {}",
                   first.ledger.path);
    }
    if (service.calibrated_jobs() < Calibration::kLeast) {
      spdlog::warn("calibration: {} jobs say little; a new model's takes effect at the next start",
                   service.calibrated_jobs());
    }
    spdlog::info("reloaded");
    announce(loaded);
    server.permit(loaded.decide_uids);
    model.follow(config.model, loaded.model_file);
    service.use(loaded.engine);
    models.use(config.mig);
    guard.reload();
  }
  sd_notify(0, "READY=1");
}

std::unique_ptr<HistoryStore> open_history(const Engine& engine) {
  HistoryStoreOptions options;
  options.path = engine.config().history.state;
  options.capacity.keys = engine.config().history.keys;
  if (engine.predictor()) options.calibration = engine.predictor()->model().calibration();
  options.warn = [](const std::string& line) { spdlog::warn("{}", line); };
  auto store = std::make_unique<HistoryStore>(std::move(options));
  const JobHistory& history = store->history();
  spdlog::info("history: {} jobs of {} users, {} in flight", history.jobs(),
               history.keys(HistoryKey::kUser), history.in_flight());
  return store;
}

std::unique_ptr<Ledger> open_ledger(const Config& config) {
  LedgerOptions options;
  options.path = config.ledger.path;
  options.keep_days = config.ledger.keep_days;
  options.warn = [](const std::string& line) { spdlog::warn("{}", line); };
  return std::make_unique<Ledger>(std::move(options));
}

int run(const Options& options) {
  const int signal_fd = take_over_signals();
  start_logging(options.log_level);

  auto loaded = load_engine(options.config, /*model_required=*/false);
  if (!loaded) {
    spdlog::error("{}", loaded.error().message);
    return 2;
  }
  announce(*loaded);
  const Config first = loaded->engine->config();
  // Before anybody can connect: a call that waits for it would wait out its deadline.
  auto history = open_history(*loaded->engine);
  auto server = ipc::Server::listen({first.socket, loaded->decide_uids});
  if (!server) {
    spdlog::error("{}", server.error().message);
    return 1;
  }

  DecisionService service(options.config, loaded->engine, std::move(history), open_ledger(first));
  service.report_on(server->get());
  Reloader reloader(options.config);
  ModelWatch model;
  model.follow(first.model, loaded->model_file);
  ModelDesk models(first.mig);
  service.ask_of_models(&models);
  GuardProcess guard(options.config, first.socket);
  Status watched = (*server)->watch(signal_fd, [&] { on_signal(signal_fd, **server, reloader); });
  if (watched) {
    watched = (*server)->watch(reloader.ready_fd(), [&] {
      on_reloaded(reloader, first, **server, service, model, models, guard);
    });
  }
  if (watched && model.fd() >= 0) {
    watched = (*server)->watch(model.fd(), [&] {
      if (model.changed()) reloader.request();
    });
  }
  if (watched && models.fd() >= 0) {
    watched = (*server)->watch(models.fd(), [&] { models.look_after(); });
  }
  if (watched && guard.fd() >= 0) {
    watched = (*server)->watch(guard.fd(), [&] {
      guard.look_after();
      if (service.guard_is_lost()) guard.replace();
    });
  }
  if (!watched) {
    spdlog::error("{}", watched.error().message);
    return 1;
  }

  spdlog::info("auspexd " AUSPEX_VERSION " serves {}", first.socket);
  sd_notify(0, "READY=1");
  if (loaded->engine->predictor()) reloader.measure(loaded->engine);
  const Status served = (*server)->run(service);
  sd_notify(0, "STOPPING=1");
  if (Status closed = service.close_history(); !closed) {
    spdlog::error("history: not saved: {}", closed.error().message);
  }
  if (!served) spdlog::error("{}", served.error().message);
  return served ? 0 : 1;
}

}  // namespace
}  // namespace auspex

int main(int argc, char** argv) {
  auspex::Options options;
  CLI::App app{"auspexd: predicts jobs at the gate of a Slurm cluster"};
  app.set_version_flag("--version", AUSPEX_VERSION);
  app.add_option("--config", options.config, "configuration file")->capture_default_str();
  app.add_option("--log-level", options.log_level, "how much is logged")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    const int code = app.exit(problem);
    return code == 0 ? 0 : 2;
  }
  const int code = auspex::run(options);
  spdlog::shutdown();
  return code;
}
