// SPDX-License-Identifier: Apache-2.0
#include "daemon/companion.h"

#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

extern char** environ;

namespace auspex {
namespace {

constexpr int kChannel = 3;

}  // namespace

std::string companion_path(const std::string& name) {
  std::error_code unknown;
  const auto ours = std::filesystem::read_symlink("/proc/self/exe", unknown);
  return (ours.parent_path() / name).string();
}

Result<pid_t> start_companion(const std::string& path, std::vector<std::string> arguments,
                              std::optional<int> channel) {
  std::vector<char*> argv = {const_cast<char*>(path.c_str())};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  if (channel) posix_spawn_file_actions_adddup2(&files, *channel, kChannel);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t pid = 0;
  const int failure = ::posix_spawn(&pid, path.c_str(), &files, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (failure != 0) return Error{std::strerror(failure)};
  return pid;
}

}  // namespace auspex
