// SPDX-License-Identifier: Apache-2.0
#include "graph/reader/reading.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "graph/asked_run.h"
#include "graph/reader/model_file.h"
#include "graph/reader_limits.h"

namespace auspex {
namespace {

ModelReply reply_to(const ModelQuestion& question, const std::vector<std::string>& folders) {
  const auto asked = asked_run(question.run);
  if (!asked) return refused(question.id, asked.error().message);
  const bool everybody = ::geteuid() != 0;
  if (Status rights = become(question.uid, question.gid); !rights) {
    return refused(question.id, "the user's rights: " + rights.error().message);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // forgotten with another user
  auto opened = open_model(question.run.path, folders, everybody);
  if (!opened) return refused(question.id, opened.error().message);
  const auto need = model_need(opened->file.get(), *asked, question.run.context_mib);
  if (!need) return refused(question.id, need.error().message);
  return {question.id, false, opened->identity, {*need, ""}};
}

[[noreturn]] void run_child(const ModelQuestion& question, const std::vector<std::string>& folders,
                            int fd) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // What it reads may take it over: nothing of the daemon's is left open.
  ::close_range(3, static_cast<unsigned>(fd) - 1, 0);
  ::close_range(static_cast<unsigned>(fd) + 1, ~0U, 0);
  limit_reader();
  ModelReply reply;
  try {
    reply = reply_to(question, folders);
  } catch (const std::exception& exception) {
    reply = refused(question.id, exception.what());
  }
  const std::string bytes = encode(reply);
  static_assert(PIPE_BUF >= 1024, "a reply is written in one piece");
  (void)!::write(fd, bytes.data(), bytes.size());
  ::_exit(0);
}

std::string how_it_ended(int status) {
  if (!WIFSIGNALED(status)) return "reading it failed";
  const int signal = WTERMSIG(status);
  if (signal == SIGXCPU || signal == SIGKILL) {
    return "reading it took more than " + std::to_string(kMostReaderSeconds) + " s";
  }
  return std::string("reading it failed: ") + ::strsignal(signal);
}

}  // namespace

ModelReply refused(uint64_t id, std::string why) {
  return {id, false, {}, {std::nullopt, std::move(why)}};
}

Result<Reading> Reading::start(const ModelQuestion& question,
                               const std::vector<std::string>& folders) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error{std::strerror(errno)};
  const pid_t pid = ::fork();
  if (pid == 0) run_child(question, folders, ends[1]);
  ::close(ends[1]);
  if (pid < 0) {
    ::close(ends[0]);
    return Error{std::strerror(errno)};
  }
  return Reading(question.id, pid, ends[0]);
}

ModelReply Reading::take() {
  char bytes[PIPE_BUF];
  ssize_t size = 0;
  do {
    size = ::read(answer_.get(), bytes, sizeof bytes);
  } while (size < 0 && errno == EINTR);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  if (size > 0) {
    auto reply = decode_reply({bytes, static_cast<size_t>(size)});
    if (reply && reply->id == id_) return std::move(*reply);
  }
  return refused(id_, how_it_ended(status));
}

}  // namespace auspex
