// SPDX-License-Identifier: Apache-2.0
#include "learn/evaluate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>
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

uint64_t owner_of(const HistoryJob& job) {
  return history_keys(job.request.features)[static_cast<size_t>(HistoryKey::kUser)];
}

class Playing {
 public:
  Playing(const std::vector<HistoryJob>& jobs, Forecaster& forecaster,
          const EvaluateOptions& options)
      : jobs_(jobs),
        forecaster_(forecaster),
        options_(options),
        calibration_(forecaster.predictor().model().calibration()) {}

  Result<Evaluation> run() {
    JobHistory history;
    const Status played =
        play(jobs_, options_.until_s, history,
             [this](Moment moment, uint32_t index, int64_t now_s, const JobHistory& known) {
               return visit(moment, jobs_[index], now_s, known);
             });
    if (!played) return played.error();
    if (out_.scored.empty()) {
      return Error{"no job to score: " + std::to_string(jobs_.size()) +
                   " usable jobs, none of them after the point from which they are scored"};
    }
    calibrate_until(options_.until_s);
    return finish();
  }

 private:
  Status visit(Moment moment, const HistoryJob& job, int64_t now_s, const JobHistory& known) {
    if (moment == Moment::kSubmit) options_.submitted();
    if (job.request.submit_s < options_.first_s) return Done{};
    if (Status advanced = forecaster_.advance(now_s); !advanced) return advanced;
    calibrate_until(now_s);
    known.view(job.request, now_s, view_);
    // One that started at once is predicted once.
    const bool asked = moment == options_.at ||
                       (options_.at == Moment::kStart && job.start_s <= job.request.submit_s);
    const bool late = job.request.submit_s >= options_.from_s;
    if (late && asked && job.end_s < options_.until_s)
      score(job, static_cast<uint32_t>(&job - jobs_.data()));
    if (moment == Moment::kSubmit && !late && options_.summaries && job.end_s < options_.from_s) {
      add_summary(job, view_, out_.train);
    }
    forecaster_.seen(job, view_);
    return Done{};
  }

  void calibrate_until(int64_t now_s) {
    while (!ends_.empty() && ends_.top().end_s < now_s) {
      const HistoryJob& job = jobs_[ends_.top().index];
      calibration_.ended(ends_.top().promise, owner_of(job), job.runtime_s,
                         job.ending == Ending::kAtLimit);
      ends_.pop();
    }
  }

  void score(const HistoryJob& job, uint32_t index) {
    const double limit_s = job.request.limit_s, runtime_s = job.runtime_s;
    const Prediction raw = forecaster_.predictor().predict(job.request, view_);
    const uint64_t owner = owner_of(job);
    Prediction p = raw;
    if (forecaster_.predictor().reads_history()) {
      const Promise promise =
          calibration_.promise(calibrated_logs(raw), owner, view_.signature_jobs, limit_s);
      calibration_.apply(promise, p);
      ends_.push({job.end_s, index, promise});
    }
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

  Evaluation finish() {
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
      out_.recipe[i] = recipe_name(forecaster_.predictor().reads_history() ? calibration_.recipe(i)
                                                                           : Recipe::kRaw);
    }
    out_.calibration = calibration_;
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
  Calibration calibration_;
  struct End {
    int64_t end_s;
    uint32_t index;
    Promise promise;
    bool operator>(const End& other) const {
      return end_s != other.end_s ? end_s > other.end_s : index > other.index;
    }
  };
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
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
