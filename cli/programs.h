// SPDX-License-Identifier: Apache-2.0
// The programs that commands are handed to: each needs a library that auspex itself does without.
#pragma once

#include <string>

#include "cli/command.h"
#include "shared/result.h"

namespace auspex::cli {

inline constexpr char kLearnProgram[] = "auspex-learn";  // libtorch
inline constexpr char kGraphProgram[] = "auspex-graph";  // ONNX

// A path, or the name, to look for in PATH.
std::string program_path(const std::string& name);

// What a program prints. Errors: it is not there, it takes too long, or it fails: with the first
// line of what it says then.
Result<std::string> output_of(Words words);

// Becomes the program; returns, with an exit code, if it cannot. component: what it comes with.
int hand_over(const std::string& program, const std::string& component, const std::string& command,
              const Words& words);

}  // namespace auspex::cli
