// SPDX-License-Identifier: Apache-2.0
// ModelDesk: what is known of the models that jobs name. auspex-models reads them, beside the
// daemon; a submission only looks up, and what is not known yet is known for the next one.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "shared/config.h"
#include "shared/file.h"
#include "shared/model_question.h"

namespace auspex {

// Threads: the server's loop only.
class ModelDesk {
 public:
  // The program lies beside the daemon's own. It runs where mig.model_dirs names folders.
  explicit ModelDesk(const Config::Mig& mig);
  ~ModelDesk();  // ends it
  ModelDesk(const ModelDesk&) = delete;
  ModelDesk& operator=(const ModelDesk&) = delete;

  // Another configuration; what was known is forgotten where it may be different now.
  void use(const Config::Mig& mig);

  // nullptr: not known, and asked for; or the file is another one by now, which the program tells
  // within `patience` or not at all. Valid until the next call.
  const ModelAnswer* look_up(uint32_t uid, uint32_t gid, const ModelRun& run,
                             std::chrono::microseconds patience);

  // Readable now and then: look_after() it then.
  int fd() const { return epoll_.get(); }
  void look_after();

  nlohmann::json status() const;

 private:
  using Clock = std::chrono::steady_clock;
  enum class State : uint8_t { kAsked, kKnown };
  struct Entry {
    State state = State::kAsked;
    Clock::time_point at{};  // when it was asked, or answered
    Clock::time_point used{};
    ModelIdentity identity;
    ModelAnswer answer;
  };
  using Entries = std::unordered_map<std::string, Entry>;

  void start();
  void stop();
  void restart(const std::string& why);
  void reap();
  bool send(const ModelQuestion& question);
  void ask(ModelQuestion question, const std::string& key);
  // Whether the file is still the one that was read. nullopt: nobody says so in time.
  std::optional<ModelReply> check(ModelQuestion question, const std::string& key,
                                  const Entry& entry, std::chrono::microseconds patience);
  void make_room();
  // One message, if there is one. nullopt: none, or not a sound one.
  std::optional<ModelReply> receive();
  void take(ModelReply reply);

  Config::Mig mig_;
  std::string program_;
  FileDescriptor epoll_, timer_, socket_;  // socket_: -1 while nobody reads
  pid_t pid_ = 0;
  std::vector<pid_t> leaving_;  // killed, and not gone yet
  Clock::time_point start_at_{};
  Clock::time_point unanswered_since_{};  // a check; {}: none
  std::string told_;
  uint64_t next_id_ = 1;
  Entries entries_;
  std::unordered_map<uint64_t, std::string> asked_;  // id -> key
  uint64_t given_ = 0, late_ = 0, restarts_ = 0;
};

}  // namespace auspex
