// SPDX-License-Identifier: Apache-2.0
// sbatch's options, from a command line and from #SBATCH lines, as a Submission.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "shared/result.h"
#include "shared/submission.h"

namespace auspex {

// words: sbatch's arguments without "sbatch" itself: options, then SCRIPT and its arguments, or
// --wrap=CMD. Fills what sbatch would send to slurmctld. Returns the script's path ("" with --wrap;
// the caller reads the file and calls apply_script).
// Errors: unknown option (named), missing or bad value (option and value named).
Result<std::string> apply_command_line(const std::vector<std::string>& words, Submission& submission);

// Takes the script's text: its #SBATCH lines fill what the command line has not said (the command
// line wins, as with sbatch), the first kMaxScriptBytes become Submission::script.
// Errors: "NAME:LINE: ..." as above.
Status apply_script(std::string_view text, const std::string& name,
                    const std::vector<std::string>& words, Submission& submission);

// A shell-like line into words: blanks separate, quotes and backslashes protect. Never fails.
std::vector<std::string> split_words(std::string_view line);

}  // namespace auspex
