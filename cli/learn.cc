// SPDX-License-Identifier: Apache-2.0
// auspex train, evaluate, learn and quantize: hand over to auspex-learn, which comes with the learn
// component and needs libtorch; this program does not.
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "cli/command.h"
#include "cli/learn_program.h"

namespace auspex::cli {
namespace {

constexpr char kProgram[] = "auspex-learn";

int hand_over(const std::string& command, const Words& words) {
  std::vector<char*> arguments = {const_cast<char*>(kProgram), const_cast<char*>(command.c_str())};
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execvp(learn_program().c_str(), arguments.data());
  if (errno == ENOENT) {
    return fail(command + ": auspex-learn is not here: the learn component is not installed");
  }
  return fail(command + ": auspex-learn cannot be started: " + std::strerror(errno));
}

}  // namespace

std::string learn_program() {
  std::error_code failure;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (failure) return kProgram;
  const std::filesystem::path folder = self.parent_path();
  for (const auto& path : {folder / kProgram, folder / "../libexec/auspex" / kProgram}) {
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return kProgram;
}

int train(const Words& words) {
  return hand_over("train", words);
}
int evaluate_model(const Words& words) {
  return hand_over("evaluate", words);
}
int learn(const Words& words) {
  return hand_over("learn", words);
}
int quantize(const Words& words) {
  return hand_over("quantize", words);
}

}  // namespace auspex::cli
