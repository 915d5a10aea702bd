// SPDX-License-Identifier: Apache-2.0
#include "tests/cli/run_auspex.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace auspex::cli {
namespace {

// A file without a name, gone with its descriptor.
int open_nameless() {
  return ::open("/tmp", O_TMPFILE | O_RDWR, 0600);
}

std::string text_in(int fd) {
  std::string text;
  char block[4096];
  ::lseek(fd, 0, SEEK_SET);
  ssize_t size = 0;
  while ((size = ::read(fd, block, sizeof(block))) > 0)
    text.append(block, static_cast<size_t>(size));
  ::close(fd);
  return text;
}

}  // namespace

Ran run_auspex(const std::vector<std::string>& words, const std::string& stdin_text,
               const std::string& out_path) {
  const int in = open_nameless(), err = open_nameless();
  const int out = out_path.empty() ? open_nameless() : ::open(out_path.c_str(), O_WRONLY);
  [[maybe_unused]] const ssize_t written = ::write(in, stdin_text.data(), stdin_text.size());
  ::lseek(in, 0, SEEK_SET);

  std::vector<char*> argv = {const_cast<char*>("auspex")};
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(in, 0), ::dup2(out, 1), ::dup2(err, 2);
    ::execv(AUSPEX_BINARY_DIR "/auspex", argv.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(in);
  Ran ran;
  ran.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  ran.out = text_in(out);
  ran.err = text_in(err);
  return ran;
}

}  // namespace auspex::cli
