// SPDX-License-Identifier: Apache-2.0
// Options that take numbers, refused where CLI11 alone is lenient: "nan", "-1" for a count.
#pragma once

#include <cstdint>
#include <string>

namespace CLI {
class App;
}

namespace auspex::cli {

// A share in [0, 1].
void add_share(CLI::App& app, const std::string& name, double& to, const std::string& what);

// A whole number, 0 or more.
void add_count(CLI::App& app, const std::string& name, uint64_t& to, const std::string& what);

}  // namespace auspex::cli
