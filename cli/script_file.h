// SPDX-License-Identifier: Apache-2.0
// Finds and reads a job script as sbatch does.
#pragma once

#include <string>

#include "shared/result.h"

namespace auspex::cli {

struct ScriptFile {
  std::string argv0;       // what slurmctld sees: the path as found
  std::string shown_name;  // for errors
  std::string text;
};

// path: "" reads standard input. A path without "." or "/" in front is looked for in the working
// directory, then in PATH. Source: sbatch(1), SCRIPT PATH RESOLUTION.
// Errors: none there, cannot be read, larger than 4 MiB (slurm.conf(5), max_script_size).
Result<ScriptFile> read_script(const std::string& path);

}  // namespace auspex::cli
