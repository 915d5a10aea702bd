// SPDX-License-Identifier: Apache-2.0
#include "cli/model_summary.h"

#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace auspex::cli {
namespace {

std::string local_time(int64_t seconds) {
  const auto time = static_cast<time_t>(seconds);
  std::tm local{};
  char text[64] = "";
  if (localtime_r(&time, &local) != nullptr) {
    std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
  }
  return text;
}

}  // namespace

nlohmann::json model_json(const ModelSummary& summary) {
  nlohmann::json categories = nlohmann::json::object();
  for (const auto& [field, values] : summary.categories) categories[field] = values;
  return {{"id", summary.id},
          {"trained_on", summary.trained_on},
          {"created_s", summary.created_s},
          {"bytes", summary.bytes},
          {"parameters", summary.parameters},
          {"precision", summary.precision},
          {"layer_sizes", summary.layer_sizes},
          {"calibrated_jobs", summary.calibrated_jobs},
          {"categories", std::move(categories)}};
}

std::vector<std::pair<std::string, std::string>> model_fields(const ModelSummary& summary) {
  std::string layers, categories;
  for (const uint32_t size : summary.layer_sizes) {
    layers += (layers.empty() ? "" : " - ") + std::to_string(size);
  }
  for (const auto& [field, values] : summary.categories) {
    if (values == 0) continue;
    categories += (categories.empty() ? "" : ", ") + field + " " + std::to_string(values);
  }
  return {{"model", summary.id},
          {"trained on", one_line(summary.trained_on)},
          {"created", local_time(summary.created_s)},
          {"size", std::to_string(summary.bytes) + " bytes"},
          {"parameters", std::to_string(summary.parameters)},
          {"precision", summary.precision},
          {"layers", layers},
          {"calibrated on", std::to_string(summary.calibrated_jobs) + " jobs"},
          {"known values", categories.empty() ? "none" : categories}};
}

}  // namespace auspex::cli
