// SPDX-License-Identifier: Apache-2.0
// Runs the built `auspex` and takes in what it says.
#pragma once

#include <string>
#include <vector>

namespace auspex::cli {

struct Ran {
  int code = -1;  // the exit code; -1 when a signal ended it
  std::string out, err;
};

// No shell in between: words may hold any bytes but NUL.
// out_path: where stdout goes instead of Ran::out.
Ran run_auspex(const std::vector<std::string>& words, const std::string& stdin_text = "",
               const std::string& out_path = "");

}  // namespace auspex::cli
