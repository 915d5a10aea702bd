// SPDX-License-Identifier: Apache-2.0
// Where auspex-learn is, which comes with the learn component.
#pragma once

#include <string>

namespace auspex::cli {

// A path, or a name to look for in PATH.
std::string learn_program();

}  // namespace auspex::cli
