// SPDX-License-Identifier: Apache-2.0
// Report: an evaluation for people and for programs.
#pragma once

#include <iosfwd>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "learn/evaluate.h"
#include "shared/job_reader.h"

namespace auspex {

// Predictors that were fitted for the comparison alone, in the order of the table.
using FittedBaselines = std::vector<std::pair<std::string, Scores>>;

nlohmann::json to_json(const Evaluation& evaluation, const FittedBaselines& fitted,
                       const ReadReport& read);
void print_table(const Evaluation& evaluation, const FittedBaselines& fitted, std::ostream& out);

}  // namespace auspex
