// SPDX-License-Identifier: Apache-2.0
// The one table of auspex.yaml's keys: name, what is allowed, where the value goes, how it reads
// back. Reading, error texts and `auspex check-config` all come from it.
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "shared/config.h"

namespace auspex {

struct ConfigComplaint {
  std::string what;                // "1.5 is out of range"
  std::optional<YAML::Mark> at{};  // where, when it is not the key's own line
};

struct ConfigKey {
  std::string name;     // dotted: "limits.floor_min"
  std::string allowed;  // "1 to 10080"
  // nullopt: taken. The value is stored only then.
  std::function<std::optional<ConfigComplaint>(const YAML::Node&)> read;
  std::function<std::string()> show;
};

// The keys hold references into their argument. `rules` is not among the first: it is a list of
// the second.
std::vector<ConfigKey> config_keys(Config& config);
std::vector<ConfigKey> rule_keys(Rule& rule);

}  // namespace auspex
