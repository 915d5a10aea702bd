// SPDX-License-Identifier: Apache-2.0
// auspex-models: reads the models that jobs name, for the daemon, which does not open users' files.
// Questions come on file descriptor 3, a SOCK_SEQPACKET; it ends with its other end. Arguments: the
// folders below which models may lie.
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <vector>

#include "graph/reader/model_file.h"
#include "graph/reader/reading.h"
#include "shared/model_question.h"

namespace auspex {
namespace {

constexpr int kDaemon = 3;
constexpr size_t kMostReadings = 2, kMostWaiting = 64;
// Killed, and not gone: they wait for file systems that hang. With so many no more is tried.
constexpr size_t kMostStuck = 4;

class Models {
 public:
  explicit Models(std::vector<std::string> folders) : folders_(std::move(folders)) {}

  // Until the daemon is gone.
  void run() {
    while (true) {
      std::vector<pollfd> watched = {{kDaemon, POLLIN, 0}};
      for (const Reading& reading : readings_) watched.push_back({reading.fd(), POLLIN, 0});
      const bool busy = !readings_.empty() || !stuck_.empty();
      if (::poll(watched.data(), watched.size(), busy ? 1000 : -1) < 0 && errno != EINTR) return;
      take_answers(watched);
      if (watched[0].revents != 0 && !take_questions()) return;
      end_the_late();
      start_waiting();
    }
  }

 private:
  // false: the daemon is gone.
  bool take_questions() {
    char bytes[kMaxQuestionBytes];
    while (true) {
      const ssize_t size = ::recv(kDaemon, bytes, sizeof bytes, MSG_DONTWAIT);
      if (size < 0 && errno == EINTR) continue;
      if (size <= 0) return size < 0 && errno == EAGAIN;
      const auto question = decode_question({bytes, static_cast<size_t>(size)});
      if (!question) continue;
      if (question->kind == QuestionKind::kCheck) {
        answer_check(*question);
      } else if (waiting_.size() < kMostWaiting) {
        waiting_.push_back(*question);
      } else {
        reply(refused(question->id, "too many models wait to be read"));
      }
    }
  }

  // With the user's own rights: root may see less than he does, where a file system is remote.
  void answer_check(const ModelQuestion& question) {
    const bool root = ::getuid() == 0;
    const bool as_user = !root || (::setegid(question.gid) == 0 && ::seteuid(question.uid) == 0);
    ModelReply checked;
    checked.id = question.id;
    checked.same = as_user && identity_of_model(question.run.path) == question.identity;
    if (root && (::seteuid(0) != 0 || ::setegid(0) != 0)) ::_exit(1);
    reply(checked);
  }

  void take_answers(const std::vector<pollfd>& watched) {
    for (size_t i = readings_.size(); i-- > 0;) {
      if (watched[i + 1].revents == 0) continue;
      reply(readings_[i].take());
      readings_.erase(readings_.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  void end_the_late() {
    const auto now = Reading::Clock::now();
    std::erase_if(readings_, [&](const Reading& reading) {
      if (now < reading.until()) return false;
      ::kill(reading.pid(), SIGKILL);
      stuck_.push_back(reading.pid());
      reply(refused(reading.id(),
                    "reading it took more than " + std::to_string(Reading::kMost.count()) + " s"));
      return true;
    });
    std::erase_if(stuck_, [](pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) != 0; });
  }

  void start_waiting() {
    while (!waiting_.empty() && readings_.size() < kMostReadings) {
      const ModelQuestion question = std::move(waiting_.front());
      waiting_.pop_front();
      if (stuck_.size() >= kMostStuck) {
        reply(refused(question.id, "file systems of earlier models hang"));
        continue;
      }
      auto reading = Reading::start(question, folders_);
      if (reading) {
        readings_.push_back(std::move(*reading));
      } else {
        reply(refused(question.id, reading.error().message));
      }
    }
  }

  // What the daemon does not take is lost: it asks again.
  static void reply(const ModelReply& reply) {
    const std::string bytes = encode(reply);
    (void)!::send(kDaemon, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  std::vector<std::string> folders_;
  std::deque<ModelQuestion> waiting_;
  std::vector<Reading> readings_;
  std::vector<pid_t> stuck_;
};

}  // namespace
}  // namespace auspex

int main(int argc, char** argv) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  [[maybe_unused]] const int niceness = ::nice(10);
  std::vector<std::string> folders;
  for (int i = 1; i < argc; ++i) {
    // One that is not there yet stays as it is written.
    char* const real = ::realpath(argv[i], nullptr);
    folders.emplace_back(real ? real : argv[i]);
    ::free(real);
  }
  auspex::Models(std::move(folders)).run();
  return 0;
}
