// SPDX-License-Identifier: Apache-2.0
// A decision as the dry run shows it: for people, as one line of many, as JSON.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "shared/decision.h"
#include "shared/submission.h"

namespace auspex::cli {

// Keys: contracts of the command line; `why` and `proposed` are additions. Times in minutes, as
// integers where Slurm's are; 4294967295 is UNLIMITED.
// Those of "decision" but mode, rule, proposed and why are what edits say by themselves.
nlohmann::json edits_json(const Submission& submission, const Edits& edits);
nlohmann::json decision_json(const Submission& submission, const Decision& decision);

// "none" where there is none.
std::string limit_text(const std::optional<uint32_t>& minutes);
// In words.
const char* explain(Why why);
const char* explain(MigWhy why);

void print_decision(const Submission& submission, const Decision& decision);

// One job in a row of columns.
void print_decision_head();
void print_decision_row(const std::string& id, const Decision& decision);

}  // namespace auspex::cli
