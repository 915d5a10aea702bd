// SPDX-License-Identifier: Apache-2.0
#include "ipc/client.h"

#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace auspex::ipc {
namespace {

void close_fd(int& fd) {
  if (fd >= 0) ::close(fd);
  fd = -1;
}

// Connecting on a Unix-domain socket happens at once or not at all: non-blocking, a full backlog
// is EAGAIN instead of a wait. Returns errno, 0 on success.
int connect_to(const std::string& path, int& fd) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return 0;
  const int error_number = errno;
  close_fd(fd);
  return error_number;
}

// Waits until `events` or the deadline. Returns errno; ETIMEDOUT when the deadline came first.
int wait_for(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    const auto left = deadline - Clock::now();
    if (left <= Clock::duration::zero()) return ETIMEDOUT;
    const auto left_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    const timespec timeout{left_ns / 1'000'000'000, left_ns % 1'000'000'000};
    pollfd entry{fd, events, 0};
    const int ready = ::ppoll(&entry, 1, &timeout, nullptr);
    if (ready > 0) return 0;
    if (ready < 0 && errno != EINTR) return errno;
  }
}

int send_message(int fd, std::span<const uint8_t> bytes, Clock::time_point deadline) {
  for (;;) {
    if (::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return 0;
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return errno;
    if (const int error_number = wait_for(fd, POLLOUT, deadline)) return error_number;
  }
}

// A reply takes the daemon some 10 us; falling asleep and being woken takes longer than that. So
// the first while is spent asking again, giving the processor to whoever is ready to run, which on
// a busy machine is the daemon. Source: tests/bench/submit_rate.py (in-plugin p50 77 -> 50 us).
constexpr std::chrono::microseconds kAskAgain{60};

// size: the message's true size, also where it is over the buffer's. 0 = the peer has closed.
int receive_message(int fd, std::span<uint8_t> buffer, size_t& size, Clock::time_point deadline) {
  const auto sleep_from = std::min(Clock::now() + kAskAgain, deadline);
  for (;;) {
    const ssize_t received = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (received >= 0) {
      size = static_cast<size_t>(received);
      return 0;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return errno;
    if (Clock::now() < sleep_from) {
      ::sched_yield();
      continue;
    }
    if (const int error_number = wait_for(fd, POLLIN, deadline)) return error_number;
  }
}

Failure io_failure(int error_number) {
  return {error_number == ETIMEDOUT ? Cause::kTimeout : Cause::kBroken, error_number};
}

}  // namespace

Client::~Client() {
  for (Slot& slot : slots_) close_fd(slot.fd);
}

Client::Slot* Client::take_slot() {
  for (Slot& slot : slots_) {
    if (!slot.taken.load(std::memory_order_relaxed) &&
        !slot.taken.exchange(true, std::memory_order_acquire)) {
      return &slot;
    }
  }
  return nullptr;
}

std::variant<Reply, Failure> Client::call_on(int& fd, const Message<Request>& message,
                                             Clock::time_point deadline) {
  const auto bytes = encode(message);
  if (!bytes) return Failure{Cause::kBadRequest, 0, bytes.error().message};

  // A connection left over from before the daemon restarted breaks on first use: that one is
  // replaced once, under the same deadline.
  for (bool reused = fd >= 0;; reused = false) {
    if (fd < 0) {
      if (const int error_number = connect_to(path_, fd)) {
        return Failure{Cause::kUnreachable, error_number};
      }
    }
    alignas(16) uint8_t buffer[kMaxMessageBytes];
    size_t size = 0;
    int error_number = send_message(fd, *bytes, deadline);
    if (error_number == 0) error_number = receive_message(fd, buffer, size, deadline);
    if (error_number == 0 && size == 0) error_number = ECONNRESET;
    if (error_number != 0) {
      close_fd(fd);
      if (reused && error_number != ETIMEDOUT) continue;
      return io_failure(error_number);
    }

    auto reply = decode_reply({buffer, std::min(size, sizeof(buffer))});
    if (size > sizeof(buffer)) {
      reply = Error{"reply of " + std::to_string(size) + " bytes"};
    } else if (reply && reply->id != message.id) {
      reply = Error{"reply to call " + std::to_string(reply->id) + " instead of " +
                    std::to_string(message.id)};
    }
    if (!reply) {
      close_fd(fd);
      return Failure{Cause::kBadReply, 0, reply.error().message};
    }
    return std::move(reply->body);
  }
}

std::variant<Reply, Failure> Client::call(Request request, Clock::time_point deadline) {
  const Message<Request> message{next_id_.fetch_add(1, std::memory_order_relaxed),
                                 std::move(request)};
  if (Slot* slot = take_slot()) {
    struct Release {
      Slot* slot;
      ~Release() { slot->taken.store(false, std::memory_order_release); }
    } release{slot};
    return call_on(slot->fd, message, deadline);
  }
  struct Transient {
    int fd = -1;
    ~Transient() { close_fd(fd); }
  } transient;
  return call_on(transient.fd, message, deadline);
}

std::string describe(const Failure& failure, const std::string& socket_path) {
  const std::string at = " at " + socket_path;
  switch (failure.cause) {
    case Cause::kUnreachable:
      return "the daemon cannot be reached" + at + ": " + std::strerror(failure.error_number);
    case Cause::kBroken:
      return "the daemon broke the connection" + at + ": " + std::strerror(failure.error_number);
    case Cause::kTimeout:
      return "the daemon did not answer in time" + at;
    case Cause::kBadReply:
      return "the daemon's answer" + at + " is not usable: " + failure.detail;
    case Cause::kBadRequest:
      return "the request does not fit the protocol: " + failure.detail;
  }
  return "unknown failure" + at;
}

namespace {

// One call, for commands.
template <class Wanted>
Result<Wanted> ask(const std::string& socket_path, Request request,
                   std::chrono::milliseconds timeout) {
  Client client(socket_path);
  auto outcome = client.call(std::move(request), Clock::now() + timeout);
  if (const auto* failure = std::get_if<Failure>(&outcome)) {
    return Error{describe(*failure, socket_path)};
  }
  auto& reply = std::get<Reply>(outcome);
  if (auto* wanted = std::get_if<Wanted>(&reply)) return std::move(*wanted);
  if (auto* refusal = std::get_if<ErrorReply>(&reply)) return Error{refusal->reason};
  return Error{"the daemon at " + socket_path + " answered something else than what was asked"};
}

}  // namespace

Result<std::string> request_status(const std::string& socket_path,
                                   std::chrono::milliseconds timeout) {
  auto reply = ask<StatusReply>(socket_path, StatusRequest{}, timeout);
  if (!reply) return reply.error();
  return std::move(reply->json);
}

Result<Site> request_site(const std::string& socket_path, std::chrono::milliseconds timeout) {
  auto reply = ask<SiteReply>(socket_path, SiteRequest{}, timeout);
  if (!reply) return reply.error();
  return std::move(reply->site);
}

}  // namespace auspex::ipc
