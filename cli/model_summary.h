// SPDX-License-Identifier: Apache-2.0
// What a model file is, in words and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "shared/model_file.h"

namespace auspex::cli {

nlohmann::json model_json(const ModelSummary& summary);
std::vector<std::pair<std::string, std::string>> model_fields(const ModelSummary& summary);

}  // namespace auspex::cli
