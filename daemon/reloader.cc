// SPDX-License-Identifier: Apache-2.0
#include "daemon/reloader.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "shared/config_yaml.h"

namespace auspex {

Result<Loaded> load_engine(const std::string& config_path, bool model_required) {
  auto config = load_config(config_path);
  if (!config) return config.error();
  Loaded loaded;
  loaded.warnings = resolve_users(*config);
  loaded.decide_uids = decide_uids(*config, loaded.warnings);

  loaded.model_file = identity_of(config->model);
  std::shared_ptr<const RuntimePredictor> predictor;
  auto found = load_predictor(*config);
  if (found) {
    predictor = std::move(found->predictor);
    loaded.warnings.insert(loaded.warnings.end(), found->warnings.begin(), found->warnings.end());
  } else if (model_required) {
    return found.error();
  } else {
    loaded.warnings.push_back("no model: " + found.error().message + "; every job is left alone");
  }
  loaded.engine = std::make_shared<Engine>(std::move(*config), std::move(predictor));
  return loaded;
}

namespace {

// Without a model there is nothing to measure; what cannot be measured is computed as it was.
Loaded measured(Loaded loaded) {
  const RuntimePredictor* predictor = loaded.engine->predictor();
  if (predictor == nullptr || loaded.engine->config().backend != Backend::kAuto) return loaded;
  if (auto fastest = predictor->by_fastest_routes()) {
    loaded.engine = std::make_shared<Engine>(loaded.engine->config(), std::move(*fastest));
  } else {
    loaded.warnings.push_back("not measured: " + fastest.error().message);
  }
  return loaded;
}

}  // namespace

Reloader::Reloader(std::string config_path)
    : config_path_(std::move(config_path)), ready_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Reloader::~Reloader() {
  if (worker_.joinable()) worker_.join();
  if (ready_fd_ >= 0) ::close(ready_fd_);
}

void Reloader::request() {
  if (busy_) {
    again_ = true;
    return;
  }
  start([this]() -> Result<Loaded> {
    auto loaded = load_engine(config_path_, /*model_required=*/true);
    if (!loaded) return loaded.error();
    return measured(std::move(*loaded));
  });
}

void Reloader::measure(std::shared_ptr<const Engine> engine) {
  start([engine = std::move(engine)]() -> Result<Loaded> {
    Loaded loaded;
    loaded.engine = engine;
    loaded.measured_only = true;
    return measured(std::move(loaded));
  });
}

void Reloader::start(std::function<Result<Loaded>()> work) {
  if (worker_.joinable()) worker_.join();
  busy_ = true;
  worker_ = std::thread([this, work = std::move(work)] {
    auto outcome = work();
    {
      const std::lock_guard lock(mutex_);
      outcome_ = std::move(outcome);
    }
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(ready_fd_, &one, sizeof(one));
  });
}

std::optional<Result<Loaded>> Reloader::take() {
  uint64_t count = 0;
  if (::read(ready_fd_, &count, sizeof(count)) < 0) return std::nullopt;
  std::optional<Result<Loaded>> outcome;
  {
    const std::lock_guard lock(mutex_);
    outcome.swap(outcome_);
  }
  busy_ = false;
  if (again_) {
    again_ = false;
    request();
  }
  return outcome;
}

}  // namespace auspex
