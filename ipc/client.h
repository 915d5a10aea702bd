// SPDX-License-Identifier: Apache-2.0
// Client: asks the daemon under one absolute deadline.
//
// Connections persist in a fixed set of slots, one taken per call by an atomic flag: a caller gets
// a warm connection whether its threads live long (one slot each) or for one call only, as those
// of slurmctld 22.05 do. No lock is held over I/O and a fork inherits nothing (CLOEXEC).
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <span>
#include <string>

#include "ipc/codec.h"
#include "shared/result.h"

namespace auspex::ipc {

using Clock = std::chrono::steady_clock;

// Why a call brought no usable reply.
enum class Cause : uint8_t {
  kUnreachable,  // no socket, nobody listening, backlog full
  kBroken,       // the connection broke during the call, twice
  kTimeout,      // the deadline passed
  kBadReply,     // oversized, not verifiable, another id or version
  kBadRequest,   // the request does not fit the wire
};
inline constexpr size_t kCauseCount = 5;

struct Failure {
  Cause cause;
  int error_number = 0;     // errno where there is one, else 0
  std::string detail = {};  // for kBadReply and kBadRequest
};

class Client {
 public:
  explicit Client(std::string socket_path) : path_(std::move(socket_path)) {}
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Sends the request and waits for its reply. Never blocks past `deadline`, raises no signal.
  // After any failure but kBadRequest the connection is closed, so that a late reply meets nobody.
  // Threads: any number at once.
  std::variant<Reply, Failure> call(Request request, Clock::time_point deadline);

  const std::string& socket_path() const { return path_; }

 private:
  static constexpr size_t kSlots = 32;
  struct Slot {
    std::atomic<bool> taken{false};
    int fd = -1;
  };
  Slot* take_slot();
  std::variant<Reply, Failure> call_on(int& fd, const Message<Request>& message,
                                       Clock::time_point deadline);

  std::string path_;
  std::array<Slot, kSlots> slots_;
  std::atomic<uint64_t> next_id_{1};
};

// The daemon's status as JSON. Errors: one line naming the socket and what went wrong.
Result<std::string> request_status(const std::string& socket_path,
                                   std::chrono::milliseconds timeout);

// What the daemon knows of Slurm and of its guard. Errors: as above.
Result<Site> request_site(const std::string& socket_path, std::chrono::milliseconds timeout);

// "the daemon does not answer at /run/auspex/auspex.sock: Connection refused"
std::string describe(const Failure& failure, const std::string& socket_path);

}  // namespace auspex::ipc
