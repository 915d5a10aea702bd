// SPDX-License-Identifier: Apache-2.0
#include "daemon/model_desk.h"

#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <utility>

#include "daemon/companion.h"

namespace auspex {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMostEntries = 4096;
constexpr auto kAskAgain = 60s;    // what was asked and never answered
constexpr auto kRefusedFor = 10s;  // what could not be read may be mended by now
constexpr auto kHangs = 5s;        // a program that says nothing to a check
constexpr auto kPause = 5s;        // between two starts
constexpr size_t kMostLeaving = 4;

}  // namespace

ModelDesk::ModelDesk(const Config::Mig& mig)
    : mig_(mig),
      program_(companion_path("auspex-models")),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  const itimerspec every_second = {{1, 0}, {1, 0}};
  ::timerfd_settime(timer_.get(), 0, &every_second, nullptr);
  epoll_event event{};
  event.events = EPOLLIN;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, timer_.get(), &event);
  start();
}

ModelDesk::~ModelDesk() {
  stop();
  for (const pid_t pid : leaving_) ::waitpid(pid, nullptr, WNOHANG);
}

void ModelDesk::use(const Config::Mig& mig) {
  if (mig == mig_) return;
  mig_ = mig;
  stop();
  entries_.clear();
  start();
}

void ModelDesk::start() {
  if (mig_.model_dirs.empty() || mig_.mode == MigMode::kOff) return;
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
  FileDescriptor ours(ends[0]), theirs(ends[1]);
  const auto started = start_companion(program_, mig_.model_dirs, theirs.get());
  start_at_ = Clock::now() + kPause;
  if (!started) {
    const std::string why = program_ + ": " + started.error().message;
    if (std::exchange(told_, why) != why) spdlog::warn("models: {}; none is read", why);
    return;
  }
  pid_ = *started;
  socket_ = std::move(ours);
  epoll_event event{};
  event.events = EPOLLIN;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket_.get(), &event);
}

void ModelDesk::stop() {
  socket_ = FileDescriptor();
  asked_.clear();
  unanswered_since_ = {};
  if (pid_ == 0) return;
  ::kill(pid_, SIGKILL);  // it holds nothing that is not read again
  leaving_.push_back(std::exchange(pid_, 0));
  reap();
}

void ModelDesk::restart(const std::string& why) {
  ++restarts_;
  if (std::exchange(told_, why) != why) spdlog::warn("models: {}", why);
  stop();
}

// One that waits for a file system that hangs is gone when that comes back.
void ModelDesk::reap() {
  std::erase_if(leaving_, [](pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) != 0; });
}

void ModelDesk::look_after() {
  uint64_t seconds = 0;
  (void)!::read(timer_.get(), &seconds, sizeof(seconds));
  while (auto reply = receive()) take(std::move(*reply));
  reap();
  const auto now = Clock::now();
  if (pid_ != 0 && ::waitpid(pid_, nullptr, WNOHANG) == pid_) {
    pid_ = 0;
    restart("the program that reads them ended; it is started again");
  }
  if (unanswered_since_ != Clock::time_point{} && now - unanswered_since_ > kHangs) {
    restart("the program that reads them does not answer; it is started again");
  }
  if (pid_ == 0 && now >= start_at_ && leaving_.size() < kMostLeaving) start();
}

bool ModelDesk::send(const ModelQuestion& question) {
  const auto bytes = encode(question);
  return bytes && socket_.get() >= 0 &&
         ::send(socket_.get(), bytes->data(), bytes->size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

std::optional<ModelReply> ModelDesk::receive() {
  if (socket_.get() < 0) return std::nullopt;
  char bytes[kMaxQuestionBytes];
  const ssize_t size = ::recv(socket_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
  if (size == 0) socket_ = FileDescriptor();  // it ended; who it was is seen by look_after()
  if (size <= 0) return std::nullopt;
  return decode_reply({bytes, static_cast<size_t>(size)});
}

void ModelDesk::take(ModelReply reply) {
  unanswered_since_ = {};
  const auto asked = asked_.find(reply.id);
  if (asked == asked_.end()) return;
  const auto found = entries_.find(asked->second);
  asked_.erase(asked);
  if (found == entries_.end() || reply.same) return;  // a check that came too late
  Entry& entry = found->second;
  const bool another = !reply.answer.need && reply.answer.refusal.empty();
  if (another) {
    entry.state = State::kAsked;
    entry.at = {};  // long ago: the next one asks
    return;
  }
  entry.state = State::kKnown;
  entry.at = Clock::now();
  entry.identity = reply.identity;
  entry.answer = std::move(reply.answer);
}

// Whoever was not asked for longest goes.
void ModelDesk::make_room() {
  if (entries_.size() < kMostEntries) return;
  entries_.erase(
      std::min_element(entries_.begin(), entries_.end(),
                       [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
}

void ModelDesk::ask(ModelQuestion question, const std::string& key) {
  question.kind = QuestionKind::kRead;
  question.id = next_id_++;
  if (!send(question)) return;
  if (asked_.size() >= kMostEntries) asked_.clear();  // answers that got lost
  make_room();
  Entry& entry = entries_[key];
  entry = {};
  entry.at = entry.used = Clock::now();
  asked_[question.id] = key;
}

std::optional<ModelReply> ModelDesk::check(ModelQuestion question, const std::string& key,
                                           const Entry& entry, std::chrono::microseconds patience) {
  question.kind = QuestionKind::kCheck;
  question.id = next_id_++;
  question.identity = entry.identity;
  const auto until = Clock::now() + patience;
  if (!send(question)) return std::nullopt;
  if (unanswered_since_ == Clock::time_point{}) unanswered_since_ = Clock::now();
  while (socket_.get() >= 0) {
    const auto left = std::max(until - Clock::now(), Clock::duration::zero());
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(left).count();
    const timespec wait = {0, ns};
    pollfd watched = {socket_.get(), POLLIN, 0};
    if (::ppoll(&watched, 1, &wait, nullptr) <= 0) {
      ++late_;
      if (asked_.size() < kMostEntries) asked_[question.id] = key;
      break;
    }
    auto reply = receive();
    if (reply && reply->id == question.id) {
      unanswered_since_ = {};
      return reply;
    }
    if (reply) take(std::move(*reply));
  }
  return std::nullopt;
}

const ModelAnswer* ModelDesk::look_up(uint32_t uid, uint32_t gid, const ModelRun& run,
                                      std::chrono::microseconds patience) {
  ModelQuestion question;
  question.uid = uid;
  question.gid = gid;
  question.run = run;
  const auto key = encode(question);
  if (!key || socket_.get() < 0) return nullptr;
  const auto now = Clock::now();
  const auto found = entries_.find(*key);
  const bool forgotten = found != entries_.end() && found->second.state == State::kAsked &&
                         now - found->second.at > kAskAgain;
  if (found == entries_.end() || forgotten) {
    ask(question, *key);
    return nullptr;
  }
  Entry& entry = found->second;
  entry.used = now;
  if (entry.state == State::kAsked) return nullptr;
  bool out_of_date = now - entry.at > kRefusedFor;
  if (entry.answer.need) {
    // It may take in what was asked before: references to entries stay, this one's included.
    auto checked = check(question, *key, entry, patience);
    if (!checked) return nullptr;
    out_of_date = !checked->same && checked->answer.refusal.empty();
    if (!checked->same && !out_of_date) {
      entry.answer = std::move(checked->answer);
      entry.at = Clock::now();
    }
  }
  if (out_of_date) {
    ask(question, *key);
    return nullptr;
  }
  ++given_;
  return &entry.answer;
}

nlohmann::json ModelDesk::status() const {
  if (mig_.model_dirs.empty()) return nullptr;
  return {{"reads", socket_.get() >= 0},
          {"known", entries_.size()},
          {"asked", asked_.size()},
          {"given", given_},
          {"late", late_},
          {"restarts", restarts_}};
}

}  // namespace auspex
