// SPDX-License-Identifier: Apache-2.0
// Server: one epoll loop that owns the listening socket and every connection.
//
// The loop is single-threaded: a decision takes microseconds, and nothing that could block happens
// between a request and its reply. The Service answers; the Server knows nothing of jobs.
#pragma once

#include <sys/epoll.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "ipc/codec.h"
#include "shared/result.h"

namespace auspex::ipc {

class Service {
 public:
  virtual ~Service() = default;
  virtual DecideReply decide(const DecideRequest& request) = 0;
  // Called once the reply to the decision just made is on its way: nobody waits for what is done
  // here.
  virtual void decided(const DecideRequest& /*request*/) {}
  virtual EventsReply take(const EventsRequest& request) = 0;
  virtual GuardReply take(const GuardReport& report) = 0;
  virtual LookReply look(const LookRequest& request) = 0;
  virtual SiteReply site() = 0;
  virtual std::string status_json() = 0;
};

struct ServerOptions {
  std::string socket_path;
  std::vector<uint32_t> decide_uids;  // who may ask and tell: root and SlurmUser
};

struct ServerCounters {
  uint64_t accepted = 0;
  uint64_t turned_away = 0;  // over a cap
  uint64_t bad_messages = 0;
  uint64_t not_permitted = 0;
};

class Server {
 public:
  // Binds and listens. A lock beside the socket (PATH.lock) keeps a second daemon off; a socket
  // file that a dead daemon left is replaced. Mode 0666: who may do what is told by SO_PEERCRED.
  // Errors: names the path and the reason.
  static Result<std::unique_ptr<Server>> listen(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Calls `on_readable` from run() whenever fd is readable. The fd stays the caller's.
  Status watch(int fd, std::function<void()> on_readable);

  // Serves until stop(). Errors: epoll itself failed.
  Status run(Service& service);
  void stop() { running_ = false; }

  // A reload may name another SlurmUser.
  void permit(std::vector<uint32_t> decide_uids) { options_.decide_uids = std::move(decide_uids); }

  const ServerCounters& counters() const { return counters_; }
  size_t connections() const { return clients_.size(); }

 private:
  explicit Server(ServerOptions options) : options_(std::move(options)) {}
  Status open();
  bool may_decide(uint32_t uid) const;
  int wait(epoll_event* events);
  void accept_all();
  void serve(int fd, Service& service);
  bool serve_one(int fd, uint32_t uid, Service& service);
  Reply answer(const Request& request, uint32_t uid, Service& service);
  static void follow_up(const Request& request, const Reply& reply, Service& service);
  void drop(int fd);

  ServerOptions options_;
  int lock_fd_ = -1, listen_fd_ = -1, epoll_fd_ = -1;
  bool running_ = false;
  std::chrono::steady_clock::time_point awake_until_{};
  std::unordered_map<int, uint32_t> clients_;  // fd -> uid
  std::unordered_map<uint32_t, int> connections_of_;
  std::unordered_map<int, std::function<void()>> watches_;
  ServerCounters counters_;
};

}  // namespace auspex::ipc
