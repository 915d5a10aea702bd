// SPDX-License-Identifier: Apache-2.0
// What auspex bench says: a table for people, JSON for programs.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>

#include "cli/bench.h"

namespace auspex::cli {

void print_bench(std::span<const BenchRow> rows);

// {"rows": [...]}; bytes and floor_us only where they were measured.
nlohmann::json bench_json(std::span<const BenchRow> rows);

}  // namespace auspex::cli
