// SPDX-License-Identifier: Apache-2.0
// Figure 2 of Lelek et al. (2025), of what was measured here.
#pragma once

#include <span>
#include <string>

#include "cli/bench.h"

namespace auspex::cli {

// An SVG file in UTF-8: median and p99 of the warm rows over the batch, a column for each network.
// Of several backends of one technique and precision the fastest counts.
std::string bench_figure(std::span<const BenchRow> rows);

}  // namespace auspex::cli
