// SPDX-License-Identifier: Apache-2.0
#include "graph/reader/child.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace auspex {

namespace {

int watch(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

// What it reads may take it over: nothing else of ours is left open.
bool close_others(unsigned channel) {
  const bool below = channel <= 3 || ::close_range(3, channel - 1, 0) == 0;
  return below && ::close_range(channel + 1, ~0U, 0) == 0;
}

}  // namespace

Result<Child> start_child(const std::function<void(int channel)>& body) {
  // On ourselves first: a child that cannot be watched could not be waited for either.
  if (FileDescriptor(watch(::getpid())).get() < 0) {
    return Error{std::string("pidfd_open: ") + std::strerror(errno)};
  }
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return Error{std::strerror(errno)};
  }
  FileDescriptor ours(ends[0]), theirs(ends[1]);
  const pid_t pid = ::fork();
  if (pid < 0) return Error{std::strerror(errno)};
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!close_others(static_cast<unsigned>(theirs.get()))) ::_exit(1);
    body(theirs.get());
    ::_exit(0);
  }
  FileDescriptor end(watch(pid));
  if (end.get() < 0) {
    const Error error{std::string("pidfd_open: ") + std::strerror(errno)};
    ::kill(pid, SIGKILL);
    return error;
  }
  return Child{pid, std::move(ours), std::move(end)};
}

}  // namespace auspex
