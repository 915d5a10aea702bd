// SPDX-License-Identifier: Apache-2.0
#include "learn/evaluate.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <span>
#include <utility>
#include <vector>

#include "kernels/predictor.h"
#include "learn/last_two.h"
#include "shared/config.h"
#include "shared/policy.h"

namespace auspex {
namespace {

constexpr double kHourS = 3600;

double accuracy_of(double predicted_s, double runtime_s) {
  return std::min(predicted_s, runtime_s) / std::max(predicted_s, runtime_s);
}

// Gathers one predictor's errors.
class Scorer {
 public:
  void add(double predicted_s, double runtime_s) { add(predicted_s, predicted_s, runtime_s); }

  // accuracy_point_s: the prediction whose accuracy counts.
  void add(double predicted_s, double accuracy_point_s, double runtime_s) {
    const double error_h = std::abs(predicted_s - runtime_s) / kHourS;
    errors_h_.push_back(error_h);
    sum_.rmse_h += error_h * error_h;
    sum_.mae_h += error_h;
    sum_.accuracy += accuracy_of(accuracy_point_s, runtime_s);
    sum_.underestimation += predicted_s < runtime_s ? 1 : 0;
  }

  Scores finish() {
    const auto count = static_cast<double>(errors_h_.size());
    Scores scores = sum_;
    scores.jobs = errors_h_.size();
    scores.rmse_h = std::sqrt(sum_.rmse_h / count);
    scores.mae_h /= count;
    scores.accuracy /= count;
    scores.underestimation /= count;
    const auto middle = errors_h_.begin() + static_cast<std::ptrdiff_t>(errors_h_.size() / 2);
    std::nth_element(errors_h_.begin(), middle, errors_h_.end());
    scores.medae_h = *middle;
    return scores;
  }

 private:
  Scores sum_;
  std::vector<double> errors_h_;
};

// The limit that the default configuration gives a job when it is let.
uint32_t applied_limit_min(const Prediction& prediction, uint32_t asked_min) {
  static const Config config = [] {
    Config guarded;
    guarded.mode = Mode::kGuarded;
    return guarded;
  }();
  Submission submission;
  submission.time_limit_min = asked_min;
  return *decide(submission, &prediction, config).applied_min;
}

void score_baselines(std::span<const HistoryJob> jobs, size_t first_scored, Evaluation& out) {
  Scorer limit, last2;
  LastTwo owners;
  for (size_t index = 0; index < jobs.size(); ++index) {
    const HistoryJob& job = jobs[index];
    if (index >= first_scored) {
      limit.add(job.limit_s(), job.runtime_s);
      last2.add(owners.predict_s(job), job.runtime_s);
    }
    owners.add(job);
  }
  out.limit = limit.finish();
  out.last2 = last2.finish();
}

void score_model(std::span<const HistoryJob> jobs, const RuntimePredictor& predictor,
                 Evaluation& out) {
  constexpr size_t kBatch = 4096;
  Scorer scorer;
  double covered_p90 = 0, covered_p95 = 0, covered_p99 = 0, asked_h = 0, applied_h = 0;
  std::vector<Features> features;
  std::vector<double> limits_s;
  for (size_t begin = 0; begin < jobs.size(); begin += kBatch) {
    const auto batch = jobs.subspan(begin, std::min(kBatch, jobs.size() - begin));
    features.clear();
    limits_s.clear();
    for (const HistoryJob& job : batch) {
      features.push_back(job.features);
      limits_s.push_back(job.limit_s());
    }
    const std::vector<Prediction> predictions = predictor.predict(features, limits_s);
    for (size_t index = 0; index < batch.size(); ++index) {
      const HistoryJob& job = batch[index];
      const Prediction& prediction = predictions[index];
      scorer.add(prediction.quantile_s(0.5), prediction.accuracy_point_s, job.runtime_s);
      const double needed_s = std::min(job.runtime_s, job.limit_s());
      covered_p90 += needed_s <= prediction.quantile_s(0.90) ? 1 : 0;
      covered_p95 += needed_s <= prediction.quantile_s(0.95) ? 1 : 0;
      covered_p99 += needed_s <= prediction.quantile_s(0.99) ? 1 : 0;
      asked_h += job.nodes * job.limit_min;
      applied_h += job.nodes * applied_limit_min(prediction, job.limit_min);
    }
  }
  const auto count = static_cast<double>(jobs.size());
  out.auspex = scorer.finish();
  out.coverage_p90 = covered_p90 / count;
  out.coverage_p95 = covered_p95 / count;
  out.coverage_p99 = covered_p99 / count;
  out.requested_hours_ratio = applied_h / asked_h;
}

nlohmann::json to_json(const Scores& scores) {
  return {{"jobs", scores.jobs},         {"rmse_h", scores.rmse_h},
          {"mae_h", scores.mae_h},       {"medae_h", scores.medae_h},
          {"accuracy", scores.accuracy}, {"underestimation", scores.underestimation}};
}

void print_row(std::string_view name, const Scores& scores, std::ostream& out) {
  out << std::left << std::setw(8) << name << std::right << std::fixed << std::setw(9)
      << scores.jobs << std::setprecision(3) << std::setw(10) << scores.accuracy << std::setw(11)
      << scores.mae_h << std::setw(11) << scores.medae_h << std::setw(11) << scores.rmse_h
      << std::setprecision(1) << std::setw(11) << 100 * scores.underestimation << " %\n";
}

}  // namespace

Result<Evaluation> evaluate(const EvaluateOptions& options) {
  Result<std::shared_ptr<const RuntimePredictor>> predictor = RuntimePredictor::load(options.model);
  if (!predictor) return predictor.error();
  Result<History> history = read_history(options.history);
  if (!history) return history.error();

  const std::vector<HistoryJob>& jobs = history->jobs;
  const int64_t point_s = submit_point_s(jobs, options.from_fraction);
  const auto first = std::partition_point(
      jobs.begin(), jobs.end(), [&](const HistoryJob& job) { return job.submit_s < point_s; });
  if (first == jobs.end()) {
    return Error{options.history.paths.front() +
                 ": no job to score: " + std::to_string(jobs.size()) +
                 " usable jobs, scoring from fraction " + std::to_string(options.from_fraction)};
  }
  Evaluation evaluation;
  evaluation.model = (*predictor)->model().summary().id;
  evaluation.backend = (*predictor)->backend();
  evaluation.read = std::move(history->report);
  score_baselines(jobs, static_cast<size_t>(first - jobs.begin()), evaluation);
  score_model({first, jobs.end()}, **predictor, evaluation);
  return evaluation;
}

nlohmann::json to_json(const Evaluation& evaluation) {
  nlohmann::json auspex = to_json(evaluation.auspex);
  auspex["coverage"] = {{"p90", evaluation.coverage_p90},
                        {"p95", evaluation.coverage_p95},
                        {"p99", evaluation.coverage_p99}};
  auspex["requested_hours_ratio"] = evaluation.requested_hours_ratio;
  return {{"model", evaluation.model},          {"backend", evaluation.backend},
          {"rows", evaluation.read.rows},       {"skipped", evaluation.read.skipped},
          {"bad", evaluation.read.bad},         {"auspex", std::move(auspex)},
          {"limit", to_json(evaluation.limit)}, {"last2", to_json(evaluation.last2)}};
}

void print_table(const Evaluation& evaluation, std::ostream& out) {
  out << "                    jobs  accuracy      MAE h   median h     RMSE h  too short\n";
  print_row("auspex", evaluation.auspex, out);
  print_row("limit", evaluation.limit, out);
  print_row("last2", evaluation.last2, out);
  out << std::setprecision(1) << "coverage: p90 " << 100 * evaluation.coverage_p90 << " %, p95 "
      << 100 * evaluation.coverage_p95 << " %, p99 " << 100 * evaluation.coverage_p99
      << " %\nrequested node-hours: " << 100 * evaluation.requested_hours_ratio
      << " % of what was asked for (p90 limits)\n";
}

}  // namespace auspex
