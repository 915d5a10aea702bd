// SPDX-License-Identifier: Apache-2.0
// The floor of a single sample: what only reading as many bytes takes here.
#pragma once

#include "cli/bench.h"

namespace auspex::cli {

// One more contestant for each number of bytes that there is.
void add_floors(Contestants& contestants);
bool is_floor(const Contestant& contestant);

}  // namespace auspex::cli
