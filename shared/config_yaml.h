// SPDX-License-Identifier: Apache-2.0
// Reads auspex.yaml strictly: a file is taken whole or not at all.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "shared/config.h"
#include "shared/result.h"

namespace auspex {

// Errors: one line "FILE:LINE: KEY: what is wrong with which value; allowed: ...".
// Unknown keys, wrong types, values out of range and duplicate keys are errors.
Result<Config> load_config(const std::string& path);

// The same for a text; `name` stands for the file in errors.
Result<Config> parse_config(const std::string& text, const std::string& name);

// Every key with its value in words, in the order of etc/auspex.yaml; rules as "rules[0].mode".
std::vector<std::pair<std::string, std::string>> describe_config(const Config& config);

}  // namespace auspex
