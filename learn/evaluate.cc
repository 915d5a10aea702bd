// SPDX-License-Identifier: Apache-2.0
#include "learn/evaluate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "learn/play.h"
#include "shared/config.h"
#include "shared/policy.h"

namespace auspex {
namespace {

constexpr double kNoLimitS = 366 * 86400.0;

double candidate_s(const HistoryView& view, Candidate candidate, double otherwise_s) {
  const float log_s = view.log_s[kPastItems + static_cast<size_t>(candidate)];
  return std::isnan(log_s) ? otherwise_s : std::max(1.0, std::exp(static_cast<double>(log_s)));
}

// The limit that the default configuration gives a job when it is let.
double applied_limit_s(const Prediction& prediction, double asked_s) {
  static const Config config = [] {
    Config guarded;
    guarded.mode = Mode::kGuarded;
    return guarded;
  }();
  Submission submission;
  submission.time_limit_min = static_cast<uint32_t>(asked_s / 60);
  return 60.0 * *decide(submission, &prediction, config).applied_min;
}

void add_summary(const HistoryJob& job, const HistoryView& view, SummaryRows& rows) {
  rows.columns = kNumberCount + kHistoryNumbers;
  const auto& numbers = job.request.features.number;
  rows.values.insert(rows.values.end(), numbers.begin(), numbers.end());
  rows.values.insert(rows.values.end(), view.number.begin(), view.number.end());
  rows.runtime_s.push_back(job.runtime_s);
  rows.limit_s.push_back(job.request.limit_s);
}

class Playing {
 public:
  Playing(const std::vector<HistoryJob>& jobs, Forecaster& forecaster,
          const EvaluateOptions& options)
      : jobs_(jobs), forecaster_(forecaster), options_(options) {}

  Result<Evaluation> run() {
    JobHistory history;
    history.go_on_from(forecaster_.predictor().model().calibration());
    const Status played =
        play(jobs_, options_.until_s, history,
             [this](Moment moment, uint32_t index, int64_t now_s, const JobHistory& known,
                    std::optional<CalibratedLogs>& promised) {
               return visit(moment, jobs_[index], now_s, known, promised);
             });
    if (!played) return played.error();
    if (out_.scored.empty()) {
      return Error{"no job to score: " + std::to_string(jobs_.size()) +
                   " usable jobs, none of them after the point from which they are scored"};
    }
    return finish(history.calibration());
  }

 private:
  Status visit(Moment moment, const HistoryJob& job, int64_t now_s, const JobHistory& known,
               std::optional<CalibratedLogs>& promised) {
    if (moment == Moment::kSubmit) options_.submitted();
    if (job.request.submit_s < options_.first_s) return Done{};
    if (Status advanced = forecaster_.advance(now_s); !advanced) return advanced;
    known.view(job.request, now_s, view_);
    // One that started at once is predicted once.
    const bool asked = moment == options_.at ||
                       (options_.at == Moment::kStart && job.start_s <= job.request.submit_s);
    const bool late = job.request.submit_s >= options_.from_s;
    if (late && job.end_s < options_.until_s && (asked || moment == Moment::kSubmit)) {
      const Prediction raw = forecaster_.predictor().predict(job.request, view_);
      Prediction p = raw;
      if (forecaster_.predictor().reads_history()) known.calibrate(job.request, view_, p);
      promised = p.raw_log_s;
      if (asked) score(job, raw, p);
    }
    if (moment == Moment::kSubmit && !late && options_.summaries && job.end_s < options_.from_s) {
      add_summary(job, view_, out_.train);
    }
    forecaster_.seen(job, view_);
    return Done{};
  }

  // p: the raw prediction, calibrated.
  void score(const HistoryJob& job, const Prediction& raw, const Prediction& p) {
    const double limit_s = job.request.limit_s, runtime_s = job.runtime_s;
    const uint64_t owner = view_.user;
    const double median_s = p.quantile_s(0.5);
    auspex_.add(median_s, p.accuracy_point_s, runtime_s);
    if (p.mean_s) mean_.add(*p.mean_s, runtime_s);
    // Without a limit the longest that is asked for stands for it.
    limit_.add(std::min(limit_s, kNoLimitS), runtime_s);
    last2_.add(candidate_s(view_, Candidate::kUserLastTwo, limit_s), runtime_s);
    last_signature_.add(candidate_s(view_, Candidate::kSignatureLast,
                                    candidate_s(view_, Candidate::kUserLast, limit_s)),
                        runtime_s);
    ScoredJob scored{median_s, runtime_s, limit_s, accuracy_of(p.accuracy_point_s, runtime_s),
                     p.confidence.value_or(std::numeric_limits<double>::quiet_NaN())};
    for (size_t i = 0; i < kCoverageLevels.size(); ++i) {
      const double quantile_s = p.quantile_s(kCoverageLevels[i]);
      raw_[i].add(owner, job.nodes, runtime_s, raw.quantile_s(kCoverageLevels[i]), limit_s);
      applied_[i].add(owner, job.nodes, runtime_s, quantile_s, limit_s);
      const bool covered = std::min(runtime_s, limit_s) <= quantile_s;
      (i == 0 ? scored.covered_p90 : i == 1 ? scored.covered_p95 : scored.covered_p99) = covered;
    }
    if (std::isfinite(limit_s)) {
      asked_h_ += job.nodes * limit_s;
      applied_h_ += job.nodes * applied_limit_s(p, limit_s);
    }
    out_.scored.push_back(scored);
    if (options_.summaries) add_summary(job, view_, out_.test);
  }

  Evaluation finish(const Calibration& calibration) {
    out_.model = forecaster_.predictor().model().summary().id;
    out_.backend = forecaster_.predictor().backend();
    out_.auspex = auspex_.finish();
    out_.limit = limit_.finish();
    out_.last2 = last2_.finish();
    out_.last_signature = last_signature_.finish();
    if (forecaster_.predictor().reads_history()) {
      out_.rmse_of_mean_h = mean_.finish().rmse_h;
      out_.confident_half_accuracy = confident_half();
    }
    for (size_t i = 0; i < kCoverageLevels.size(); ++i) {
      out_.raw[i] = raw_[i].finish();
      out_.applied[i] = applied_[i].finish();
      out_.recipe[i] = recipe_name(forecaster_.predictor().reads_history() ? calibration.recipe(i)
                                                                           : Recipe::kRaw);
    }
    out_.calibration = calibration;
    if (asked_h_ > 0) out_.requested_hours_ratio = applied_h_ / asked_h_;
    return std::move(out_);
  }

  double confident_half() const {
    std::vector<const ScoredJob*> order;
    for (const ScoredJob& job : out_.scored) order.push_back(&job);
    const auto middle = order.begin() + static_cast<std::ptrdiff_t>((order.size() + 1) / 2);
    std::nth_element(
        order.begin(), middle - 1, order.end(),
        [](const ScoredJob* a, const ScoredJob* b) { return a->confidence > b->confidence; });
    double sum = 0;
    for (auto at = order.begin(); at != middle; ++at) sum += (*at)->accuracy;
    return sum / static_cast<double>(middle - order.begin());
  }

  const std::vector<HistoryJob>& jobs_;
  Forecaster& forecaster_;
  const EvaluateOptions& options_;
  HistoryView view_{};
  Scorer auspex_, mean_, limit_, last2_, last_signature_;
  std::array<CoverageCounter, kCoverageLevels.size()> raw_, applied_;
  double asked_h_ = 0, applied_h_ = 0;
  Evaluation out_;
};

}  // namespace

Result<Evaluation> evaluate(const std::vector<HistoryJob>& jobs, Forecaster& forecaster,
                            const EvaluateOptions& options) {
  return Playing(jobs, forecaster, options).run();
}

Scores score(const SummaryRows& test, const std::vector<double>& predicted_s) {
  Scorer scorer;
  for (size_t row = 0; row < predicted_s.size(); ++row) {
    const double limit_s = std::max(1.0, test.limit_s[row]);
    scorer.add(std::clamp(predicted_s[row], 1.0, limit_s), test.runtime_s[row]);
  }
  return scorer.finish();
}

}  // namespace auspex
