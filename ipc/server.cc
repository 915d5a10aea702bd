// SPDX-License-Identifier: Apache-2.0
#include "ipc/server.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

namespace auspex::ipc {
namespace {

constexpr int kMaxEvents = 64;

Error system_error(const std::string& what) {
  return Error{what + ": " + std::strerror(errno)};
}

Status add_to_epoll(int epoll_fd, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) return system_error("epoll_ctl");
  return Done{};
}

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(ServerOptions options) {
  std::unique_ptr<Server> server(new Server(std::move(options)));
  if (auto opened = server->open(); !opened) return opened.error();
  return server;
}

Status Server::open() {
  const std::string& path = options_.socket_path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Error{path + ": a socket's path has at most " +
                 std::to_string(sizeof(address.sun_path) - 1) + " bytes"};
  }
  std::memcpy(address.sun_path, path.data(), path.size());

  lock_fd_ = ::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return system_error(path + ".lock");
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    return Error{path + ": another auspexd serves this socket"};
  }
  ::unlink(path.c_str());

  listen_fd_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listen_fd_ < 0) return system_error("socket");
  if (::bind(listen_fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::chmod(path.c_str(), 0666) != 0 || ::listen(listen_fd_, kMaxConnections) != 0) {
    return system_error(path);
  }
  epoll_fd_ = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) return system_error("epoll_create1");
  return add_to_epoll(epoll_fd_, listen_fd_);
}

Server::~Server() {
  for (const auto& [fd, uid] : clients_) ::close(fd);
  if (listen_fd_ >= 0) {
    ::unlink(options_.socket_path.c_str());
    ::close(listen_fd_);
  }
  if (epoll_fd_ >= 0) ::close(epoll_fd_);
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

Status Server::watch(int fd, std::function<void()> on_readable) {
  watches_[fd] = std::move(on_readable);
  return add_to_epoll(epoll_fd_, fd);
}

Status Server::run(Service& service) {
  running_ = true;
  while (running_) {
    epoll_event events[kMaxEvents];
    const int ready = wait(events);
    if (ready < 0 && errno != EINTR) return system_error("epoll_wait");
    for (int i = 0; i < ready && running_; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listen_fd_) {
        accept_all();
      } else if (const auto watch = watches_.find(fd); watch != watches_.end()) {
        watch->second();
      } else if (clients_.contains(fd)) {
        serve(fd, service);
      }
    }
  }
  return Done{};
}

// Submissions come in bursts, and to be woken on a sleeping processor takes longer than a decision.
// So the loop stays awake for a moment after each request (in-plugin p50 60 -> 35 us,
// tests/bench/submit_rate.py), unless the processor is wanted: then a yield comes back only after
// a time slice of somebody else.
int Server::wait(epoll_event* events) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kTimeSlice = std::chrono::microseconds(1000);
  for (auto now = Clock::now(); now < awake_until_;) {
    const int ready = ::epoll_wait(epoll_fd_, events, kMaxEvents, 0);
    if (ready != 0) return ready;
    ::sched_yield();
    const auto before = std::exchange(now, Clock::now());
    if (now - before > kTimeSlice) break;
  }
  return ::epoll_wait(epoll_fd_, events, kMaxEvents, -1);
}

bool Server::may_decide(uint32_t uid) const {
  return std::find(options_.decide_uids.begin(), options_.decide_uids.end(), uid) !=
         options_.decide_uids.end();
}

void Server::accept_all() {
  for (;;) {
    const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    ucred credentials{};
    socklen_t size = sizeof(credentials);
    const bool known = ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0;
    const int cap =
        may_decide(credentials.uid) ? kMaxConnectionsPerUser : kMaxConnectionsPerUser / 4;
    const auto held = connections_of_.find(credentials.uid);
    const bool room = clients_.size() < static_cast<size_t>(kMaxConnections) &&
                      (held == connections_of_.end() || held->second < cap);
    if (!known || !room || !add_to_epoll(epoll_fd_, fd)) {
      ++counters_.turned_away;
      ::close(fd);
      continue;
    }
    ++counters_.accepted;
    ++connections_of_[credentials.uid];
    clients_.emplace(fd, credentials.uid);
  }
}

void Server::drop(int fd) {
  const auto client = clients_.find(fd);
  if (client == clients_.end()) return;
  if (--connections_of_[client->second] == 0) connections_of_.erase(client->second);
  clients_.erase(client);
  ::close(fd);
}

void Server::serve(int fd, Service& service) {
  const uint32_t uid = clients_.at(fd);
  for (int turn = 0; turn < kMaxMessagesPerTurn; ++turn) {
    if (!serve_one(fd, uid, service)) return;
  }
}

// Returns whether the client may have more to say.
bool Server::serve_one(int fd, uint32_t uid, Service& service) {
  alignas(16) uint8_t buffer[kMaxMessageBytes];
  const ssize_t received = ::recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT | MSG_TRUNC);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  const auto size = static_cast<size_t>(std::max<ssize_t>(received, 0));
  if (size == 0) {  // closed, or broken
    drop(fd);
    return false;
  }

  Result<Message<Request>> request = Error{"message is over the size limit"};
  if (size <= sizeof(buffer)) request = decode_request({buffer, size});
  Message<Reply> reply{0, ErrorReply{}};
  if (request) {
    reply = {request->id, answer(request->body, uid, service)};
  } else {
    ++counters_.bad_messages;
    reply.body = ErrorReply{request.error().message};
  }

  const auto bytes = encode(reply);
  const bool sent =
      bytes && ::send(fd, bytes->data(), bytes->size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
  if (request) follow_up(request->body, reply.body, service);
  // Who does not read its replies, or speaks something else, is not kept.
  if (!sent || !request) drop(fd);
  // Events take longer than a decision: others have their turn after each message of them.
  return sent && request && !std::holds_alternative<EventsRequest>(request->body);
}

void Server::follow_up(const Request& request, const Reply& reply, Service& service) {
  if (!std::holds_alternative<DecideReply>(reply)) return;
  try {
    service.decided(std::get<DecideRequest>(request));
  } catch (const std::exception&) {
    // The reply is gone; there is nobody to tell.
  }
}

Reply Server::answer(const Request& request, uint32_t uid, Service& service) {
  try {
    if (std::holds_alternative<StatusRequest>(request)) return StatusReply{service.status_json()};
    if (std::holds_alternative<SiteRequest>(request)) return service.site();
    if (!may_decide(uid)) {
      ++counters_.not_permitted;
      return ErrorReply{"uid " + std::to_string(uid) + " may not ask for decisions"};
    }
    if (const auto* told = std::get_if<EventsRequest>(&request)) return service.take(*told);
    if (const auto* look = std::get_if<LookRequest>(&request)) return service.look(*look);
    if (const auto* report = std::get_if<GuardReport>(&request)) return service.take(*report);
    awake_until_ = std::chrono::steady_clock::now() + kStayAwake;
    return service.decide(std::get<DecideRequest>(request));
  } catch (const std::exception& problem) {
    return ErrorReply{std::string("internal error: ") + problem.what()};
  }
}

}  // namespace auspex::ipc
