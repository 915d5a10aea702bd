// SPDX-License-Identifier: Apache-2.0
#include "cli/programs.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace auspex::cli {

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
