// SPDX-License-Identifier: Apache-2.0
// auspex-models: reads the models that jobs name, for the daemon, which does not open users' files.
// Questions come on file descriptor 3, a SOCK_SEQPACKET; it ends with its other end. Arguments: the
// folders below which models may lie.
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "graph/reader/checker.h"
#include "graph/reader/reading.h"
#include "shared/model_question.h"

namespace auspex {
namespace {

constexpr int kDaemon = 3;
// Of one user only one reading at a time, so that one whose file system hangs leaves room.
constexpr size_t kMostReadings = 2;
constexpr std::ptrdiff_t kMostWaiting = 64, kMostWaitingOfOne = 16;
constexpr size_t kMostCheckers = 32;
// For so long the groups that a user had are good enough.
constexpr std::chrono::minutes kMostAge{10};
// Processes that wait for file systems that hang. With so many no more is tried.
constexpr std::ptrdiff_t kMostHanging = 32;

// Touches no file itself: its children do, each with the rights of one user.
class Models {
 public:
  explicit Models(std::vector<std::string> folders) : folders_(std::move(folders)) {}

  // Until the daemon is gone.
  void run() {
    while (true) {
      std::vector<pollfd> watched = {{kDaemon, POLLIN, 0}};
      for (const Reading& reading : readings_) watched.push_back({reading.fd(), POLLIN, 0});
      for (const Checker& checker : checkers_) watched.push_back({checker.fd(), POLLIN, 0});
      if (::poll(watched.data(), watched.size(), is_idle() ? -1 : 1000) < 0 && errno != EINTR) {
        return;
      }
      take_answers(watched);
      take_checks();
      if (watched[0].revents != 0 && !take_questions()) return;
      end_the_late();
      start_waiting();
    }
  }

 private:
  struct Leaving {
    pid_t pid;
    std::optional<uint32_t> hangs;  // whose file system
  };

  bool is_idle() const {
    return readings_.empty() && leaving_.empty() &&
           std::all_of(checkers_.begin(), checkers_.end(),
                       [](const Checker& checker) { return checker.asked().empty(); });
  }

  // false: the daemon is gone.
  bool take_questions() {
    char bytes[kMaxQuestionBytes];
    while (true) {
      const ssize_t size = ::recv(kDaemon, bytes, sizeof bytes, MSG_DONTWAIT);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return size < 0 && errno == EAGAIN;
      const auto question = decode_question({bytes, static_cast<size_t>(size)});
      if (question && question->kind == QuestionKind::kCheck) check(*question);
      if (question && question->kind == QuestionKind::kRead) queue(*question);
    }
  }

  void queue(const ModelQuestion& question) {
    const auto of_one =
        std::count_if(waiting_.begin(), waiting_.end(),
                      [&](const ModelQuestion& other) { return other.uid == question.uid; });
    if (std::ssize(waiting_) >= kMostWaiting || of_one >= kMostWaitingOfOne) {
      return reply(refused(question.id, "too many models wait to be read"));
    }
    waiting_.push_back(question);
  }

  // Where nobody can tell, the file is not the same: it is read again, and that tells why. One that
  // is busy hangs, or is late.
  void check(const ModelQuestion& question) {
    if (const auto why = hanging(question.uid)) return reply(refused(question.id, *why));
    Checker* checker = checker_of(question.uid, question.gid);
    const bool asked = checker != nullptr && checker->ask(question);
    const bool busy = checker != nullptr && !checker->asked().empty();
    if (!asked && !busy) reply(unknown(question.id));
  }

  Checker* checker_of(uint32_t uid, uint32_t gid) {
    const auto known =
        std::find_if(checkers_.begin(), checkers_.end(),
                     [&](const Checker& checker) { return checker.is_of(uid, gid); });
    const bool old = known != checkers_.end() && known->asked().empty() &&
                     Checker::Clock::now() - known->started() > kMostAge;
    if (known != checkers_.end() && !old) return &*known;
    if (old) {
      retire(known, std::nullopt);
    } else if (checkers_.size() >= kMostCheckers) {
      retire(
          std::min_element(checkers_.begin(), checkers_.end(),
                           [](const Checker& a, const Checker& b) { return a.used() < b.used(); }),
          std::nullopt);
    }
    auto started = Checker::start(uid, gid);
    return started ? &checkers_.emplace_back(std::move(*started)) : nullptr;
  }

  // What it was asked is answered for it.
  std::vector<Checker>::iterator retire(std::vector<Checker>::iterator checker,
                                        std::optional<uint32_t> hangs) {
    for (const uint64_t id : checker->asked()) {
      reply(hangs ? refused(id, "its file system does not answer") : unknown(id));
    }
    end(checker->pid(), hangs);
    return checkers_.erase(checker);
  }

  void end(pid_t pid, std::optional<uint32_t> hangs) {
    ::kill(pid, SIGKILL);
    leaving_.push_back({pid, hangs});
  }

  // Why nothing is done for a user. nullopt: it is.
  std::optional<std::string> hanging(uint32_t uid) const {
    const auto count = [this](const auto& counts) {
      return std::count_if(leaving_.begin(), leaving_.end(), counts);
    };
    if (count([uid](const Leaving& one) { return one.hangs == uid; }) > 0) {
      return "the file system of an earlier model does not answer";
    }
    if (count([](const Leaving& one) { return one.hangs.has_value(); }) >= kMostHanging) {
      return "file systems of others' models do not answer";
    }
    return std::nullopt;
  }

  void take_answers(const std::vector<pollfd>& watched) {
    for (size_t i = readings_.size(); i-- > 0;) {
      if (watched[i + 1].revents == 0) continue;
      reply(readings_[i].take());
      readings_.erase(readings_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  void take_checks() {
    for (auto checker = checkers_.begin(); checker != checkers_.end();) {
      while (const auto checked = checker->take()) reply(*checked);
      checker = checker->has_ended() ? retire(checker, std::nullopt) : std::next(checker);
    }
  }

  void end_the_late() {
    const auto now = Reading::Clock::now();
    std::erase_if(readings_, [&](const Reading& reading) {
      if (now < reading.until()) return false;
      end(reading.pid(), reading.uid());
      reply(refused(reading.id(),
                    "reading it took more than " + std::to_string(Reading::kMost.count()) + " s"));
      return true;
    });
    for (auto checker = checkers_.begin(); checker != checkers_.end();) {
      checker = checker->hangs(now) ? retire(checker, checker->uid()) : std::next(checker);
    }
    std::erase_if(leaving_,
                  [](const Leaving& one) { return ::waitpid(one.pid, nullptr, WNOHANG) != 0; });
  }

  void start_waiting() {
    const auto is_reading = [this](uint32_t uid) {
      return std::any_of(readings_.begin(), readings_.end(),
                         [uid](const Reading& reading) { return reading.uid() == uid; });
    };
    while (readings_.size() < kMostReadings) {
      const auto next =
          std::find_if(waiting_.begin(), waiting_.end(),
                       [&](const ModelQuestion& other) { return !is_reading(other.uid); });
      if (next == waiting_.end()) return;
      const ModelQuestion question = std::move(*next);
      waiting_.erase(next);
      if (const auto why = hanging(question.uid)) {
        reply(refused(question.id, *why));
        continue;
      }
      auto reading = Reading::start(question, folders_);
      if (reading) {
        readings_.push_back(std::move(*reading));
        checker_of(question.uid, question.gid);  // ready when the file is asked after
      } else {
        reply(refused(question.id, reading.error().message));
      }
    }
  }

  static ModelReply unknown(uint64_t id) { return refused(id, ""); }

  // What the daemon does not take is lost: it asks again.
  static void reply(const ModelReply& reply) {
    const std::string bytes = encode(reply);
    (void)!::send(kDaemon, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  std::vector<std::string> folders_;
  std::deque<ModelQuestion> waiting_;
  std::vector<Reading> readings_;
  std::vector<Checker> checkers_;
  std::vector<Leaving> leaving_;  // killed, and not gone yet
};

}  // namespace
}  // namespace auspex

int main(int argc, char** argv) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  [[maybe_unused]] const int niceness = ::nice(10);
  auspex::Models({argv + 1, argv + argc}).run();
  return 0;
}
