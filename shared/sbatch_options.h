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
// --wrap=CMD. Fills what sbatch would send to slurmctld; user, group and submit_time_s only where
// they are empty, with the caller's own. Touches no file: argv[0] stays as it was typed. Returns
// the script's path (the caller reads it and calls apply_script); "" with --wrap, which fills
// Submission::script, and where sbatch would read the script from its standard input.
// Errors: unknown option (named), missing or bad value (option and value named).
Result<std::string> apply_command_line(const std::vector<std::string>& words,
                                       Submission& submission);

// Takes the script's text: its #SBATCH lines fill what the command line has not said (the command
// line wins, as with sbatch), the first kMaxScriptBytes become Submission::script.
// Errors: "NAME:LINE: ..." as above.
Status apply_script(std::string_view text, const std::string& name,
                    const std::vector<std::string>& words, Submission& submission);

// How many words an option takes: 2 when its value is the next word, 1 when it stands alone or is
// none of sbatch's, 0 when the word is no option but SCRIPT, "--" or ":".
size_t words_of_option(std::string_view word);

// A shell-like line into words: blanks separate, quotes and backslashes protect. Never fails.
std::vector<std::string> split_words(std::string_view line);

}  // namespace auspex
