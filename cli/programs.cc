// SPDX-License-Identifier: Apache-2.0
#include "cli/programs.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>

#include "shared/file.h"

extern char** environ;

namespace auspex::cli {
namespace {

using namespace std::chrono_literals;

// A client command of Slurm's without its daemon may hang; a model is read in less.
constexpr auto kTimeout = 25s;

std::string first_line(int fd) {
  char text[512];
  const ssize_t size = ::pread(fd, text, sizeof(text), 0);
  const std::string all(text, static_cast<size_t>(std::max<ssize_t>(size, 0)));
  return all.substr(0, all.find('\n'));
}

}  // namespace

std::string program_path(const std::string& name) {
  std::error_code failure;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (failure) return name;
  const std::filesystem::path folder = self.parent_path();
  for (const auto& path : {folder / name, folder / "../libexec/auspex" / name}) {
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return name;
}

Result<std::string> output_of(Words words) {
  const std::string program = words.front();
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return Error{program + ": " + std::strerror(errno)};
  const FileDescriptor reader(ends[0]);
  FileDescriptor writer(ends[1]);
  const FileDescriptor complaints(::memfd_create("stderr", MFD_CLOEXEC));
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, writer.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, complaints.get(), STDERR_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  pid_t pid = 0;
  const int failure = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) return Error{program + ": " + std::strerror(failure)};
  writer = FileDescriptor();

  std::string text;
  bool in_time = true;
  const auto give_up = std::chrono::steady_clock::now() + kTimeout;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        give_up - std::chrono::steady_clock::now());
    pollfd readable = {reader.get(), POLLIN, 0};
    in_time = left.count() > 0 && ::poll(&readable, 1, static_cast<int>(left.count())) > 0;
    char block[4096];
    const ssize_t size = in_time ? ::read(reader.get(), block, sizeof(block)) : 0;
    if (size <= 0) break;
    text.append(block, static_cast<size_t>(size));
  }
  if (!in_time) ::kill(pid, SIGKILL);
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (!in_time) return Error{program + " took too long"};
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return Error{first_line(complaints.get())};
  return text;
}

int hand_over(const std::string& program, const std::string& component, const std::string& command,
              const Words& words) {
  std::vector<char*> arguments = {const_cast<char*>(program.c_str()),
                                  const_cast<char*>(command.c_str())};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execvp(program_path(program).c_str(), arguments.data());
  if (errno == ENOENT) {
    return fail(command + ": " + program + " is not here: the " + component +
                " component is not installed");
  }
  return fail(command + ": " + program + " cannot be started: " + std::strerror(errno));
}

}  // namespace auspex::cli
