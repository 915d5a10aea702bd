// SPDX-License-Identifier: Apache-2.0
#include "learn/report.h"

#include <iomanip>
#include <nlohmann/json.hpp>
#include <ostream>

namespace auspex {
namespace {

constexpr std::array<const char*, kCoverageLevels.size()> kLevelNames = {"p90", "p95", "p99"};

nlohmann::json scores_json(const Scores& scores) {
  return {{"jobs", scores.jobs},         {"rmse_h", scores.rmse_h},
          {"mae_h", scores.mae_h},       {"medae_h", scores.medae_h},
          {"accuracy", scores.accuracy}, {"underestimation", scores.underestimation}};
}

nlohmann::json coverage_json(const Coverage& c) {
  return {{"jobs", c.jobs},
          {"node_hours", c.node_hours},
          {"users_at_90", c.users_at_level},
          {"requested_hours_ratio", c.requested_ratio}};
}

void print_row(std::string_view name, const Scores& scores, std::ostream& out) {
  out << std::left << std::setw(15) << name << std::right << std::fixed << std::setw(8)
      << scores.jobs << std::setprecision(3) << std::setw(10) << scores.accuracy << std::setw(10)
      << scores.mae_h << std::setw(11) << scores.medae_h << std::setw(10) << scores.rmse_h
      << std::setprecision(1) << std::setw(10) << 100 * scores.underestimation << " %\n";
}

}  // namespace

nlohmann::json to_json(const Evaluation& e, const FittedBaselines& fitted, const ReadReport& read) {
  nlohmann::json auspex = scores_json(e.auspex), raw, applied;
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    auspex["coverage"][kLevelNames[i]] = e.applied[i].jobs;
    applied[kLevelNames[i]] = coverage_json(e.applied[i]);
    applied[kLevelNames[i]]["recipe"] = e.recipe[i];
    raw[kLevelNames[i]] = coverage_json(e.raw[i]);
  }
  auspex["applied"] = std::move(applied);
  auspex["raw_quantiles"] = std::move(raw);
  auspex["requested_hours_ratio"] = e.requested_hours_ratio;
  if (e.rmse_of_mean_h > 0) {
    auspex["rmse_of_mean_h"] = e.rmse_of_mean_h;
    auspex["confident_half_accuracy"] = e.confident_half_accuracy;
  }
  nlohmann::json json = {{"model", e.model},
                         {"backend", e.backend},
                         {"rows", read.rows},
                         {"skipped", read.skipped},
                         {"bad", read.bad},
                         {"auspex", std::move(auspex)},
                         {"limit", scores_json(e.limit)},
                         {"last2", scores_json(e.last2)},
                         {"last_signature", scores_json(e.last_signature)}};
  for (const auto& [name, scores] : fitted) json[name] = scores_json(scores);
  return json;
}

void print_table(const Evaluation& e, const FittedBaselines& fitted, std::ostream& out) {
  out << "                   jobs  accuracy     MAE h   median h    RMSE h too short\n";
  print_row("auspex", e.auspex, out);
  print_row("limit", e.limit, out);
  print_row("last2", e.last2, out);
  print_row("last_signature", e.last_signature, out);
  for (const auto& [name, scores] : fitted) print_row(name, scores, out);
  if (e.rmse_of_mean_h > 0) {
    out << std::setprecision(3) << "the most confident half: accuracy " << e.confident_half_accuracy
        << "; RMSE of the mean " << e.rmse_of_mean_h << " h\n";
  }
  out << "limits:         jobs covered (raw)   node-hours (raw)   users at 90   node-hours asked "
         "for"
         "   recipe\n";
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    const Coverage &c = e.applied[i], &raw = e.raw[i];
    out << std::setprecision(1) << kLevelNames[i] << std::setw(19) << 100 * c.jobs << " ("
        << std::setw(5) << 100 * raw.jobs << ")" << std::setw(13) << 100 * c.node_hours << " ("
        << std::setw(5) << 100 * raw.node_hours << ")" << std::setw(13) << 100 * c.users_at_level
        << std::setw(23) << 100 * c.requested_ratio << "   " << e.recipe[i] << "\n";
  }
  out << "requested node-hours: " << 100 * e.requested_hours_ratio
      << " % of what was asked for (p90 limits)\n";
}

}  // namespace auspex
