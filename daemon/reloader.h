// SPDX-License-Identifier: Apache-2.0
// Reloader: builds a new engine from the files aside, off the serving loop: reading a model must
// not make a submission wait.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "daemon/engine.h"
#include "daemon/model_watch.h"
#include "shared/result.h"

namespace auspex {

struct Loaded {
  std::shared_ptr<const Engine> engine;
  FileIdentity model_file;  // as it stood before it was read
  std::vector<uint32_t> decide_uids;
  std::vector<std::string> warnings;
  bool measured_only = false;  // the engine that there was, by the fastest routes
};

// Configuration and model as the files say now.
// model_required: a model that cannot be read is an error (reload: the old one stays), otherwise a
// warning (start: the daemon serves and leaves every job alone).
Result<Loaded> load_engine(const std::string& config_path, bool model_required);

class Reloader {
 public:
  // What it loads is measured as well.
  explicit Reloader(std::string config_path);
  ~Reloader();
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  // Starts a load; a request while one is under way makes one more follow it. Threads: the loop's.
  void request();

  // Measures how `engine` computes fastest. A load asked for meanwhile follows. Threads: the
  // loop's.
  void measure(std::shared_ptr<const Engine> engine);

  // Readable when take() has something.
  int ready_fd() const { return ready_fd_; }
  std::optional<Result<Loaded>> take();

 private:
  void start(std::function<Result<Loaded>()> work);

  std::string config_path_;
  int ready_fd_ = -1;
  bool busy_ = false, again_ = false;
  std::mutex mutex_;  // guards outcome_
  std::optional<Result<Loaded>> outcome_;
  std::thread worker_;
};

}  // namespace auspex
