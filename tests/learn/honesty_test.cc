// SPDX-License-Identifier: Apache-2.0
// An evaluation is honest: what happens at or after a moment changes nothing of what is predicted,
// promised and counted before it.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "learn/evaluate.h"
#include "tests/fixtures/models.h"
#include "tests/fixtures/past_jobs.h"

namespace auspex {
namespace {

using Jobs = std::vector<HistoryJob>;
constexpr int64_t kNoCut = std::numeric_limits<int64_t>::max();

// What a model was shown, and what it predicted, at one moment of one job.
struct Seen {
  int64_t now_s = 0;
  float job = 0;  // its name, see some_jobs()
  HistoryView view{};
  Prediction prediction;
};

class Recorder final : public Forecaster {
 public:
  explicit Recorder(const ModelContent& content)
      : predictor_(*RuntimePredictor::with(*ModelFile::of(content))) {}
  const RuntimePredictor& predictor() const override { return *predictor_; }
  void seen(const HistoryJob& job, const HistoryView& view) override {
    const Prediction prediction = predictor_->predict(job.request, view);
    seen_.push_back({now_s_, job.nodes, view, prediction});
  }
  Status advance(int64_t now_s) override {
    now_s_ = now_s;
    return Done{};
  }
  const std::vector<Seen>& all() const { return seen_; }

 private:
  std::shared_ptr<const RuntimePredictor> predictor_;
  int64_t now_s_ = 0;
  std::vector<Seen> seen_;
};

ModelContent pointer_model() {
  return fixtures::random_pointer_model({9, 5}, 7, 10, 7);
}

struct Played {
  std::vector<Seen> seen;
  Evaluation evaluation;
};

// From the first job on: where the scores begin depends on how many jobs there are.
Played played(const Jobs& jobs, Moment at = Moment::kSubmit,
              const ModelContent& model = pointer_model()) {
  Recorder recorder(model);
  Result<Evaluation> result = evaluate(jobs, recorder, {.at = at});
  EXPECT_TRUE(result.ok()) << result.error().message;
  return {recorder.all(), std::move(*result)};
}

// Each asked for a number of nodes of its own. All have a limit, or sums of limits say nothing.
Jobs some_jobs(uint32_t seed, size_t count = 800) {
  Jobs jobs = fixtures::synthetic_jobs(count, seed);
  float name = 0;
  for (HistoryJob& job : jobs) {
    job.request.limit_s = std::min(job.request.limit_s, 14400.0);
    job.nodes = ++name;
  }
  return jobs;
}

// When the job is scored.
int64_t moment_s(const HistoryJob& job, Moment at) {
  return at == Moment::kSubmit ? job.request.submit_s : std::max(job.request.submit_s, job.start_s);
}

// How many of them are scored before the cut.
size_t scored_before(const Jobs& jobs, int64_t cut_s, Moment at) {
  return static_cast<size_t>(std::count_if(
      jobs.begin(), jobs.end(), [&](const HistoryJob& job) { return moment_s(job, at) < cut_s; }));
}

bool same_bits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

bool same_prediction(const Prediction& a, const Prediction& b) {
  return a.quantiles_s == b.quantiles_s && same_bits(a.accuracy_point_s, b.accuracy_point_s) &&
         a.mean_s == b.mean_s && a.confidence == b.confidence;
}

bool same_seen(const Seen& a, const Seen& b) {
  return a.now_s == b.now_s && a.job == b.job && fixtures::same_bits(a.view, b.view) &&
         same_prediction(a.prediction, b.prediction);
}

// How many moments before the cut differ; one that is only in one of them differs.
size_t different_before(const std::vector<Seen>& a, const std::vector<Seen>& b, int64_t cut_s) {
  const auto before = [cut_s](const Seen& seen) { return seen.now_s < cut_s; };
  const auto of_a = std::count_if(a.begin(), a.end(), before);
  const auto of_b = std::count_if(b.begin(), b.end(), before);
  const auto common = std::min(of_a, of_b);
  auto different = static_cast<size_t>(std::max(of_a, of_b) - common);
  for (std::ptrdiff_t i = 0; i < common; ++i) different += same_seen(a[i], b[i]) ? 0 : 1;
  return different;
}

// The first `count` scored jobs: predictions, and what their own runtimes made of them unless these
// were changed.
void expect_same_scored(const Evaluation& a, const Evaluation& b, size_t count, bool some_changed) {
  ASSERT_GE(a.scored.size(), count);
  ASSERT_GE(b.scored.size(), count);
  size_t changed = 0;
  for (size_t i = 0; i < count; ++i) {
    const ScoredJob &x = a.scored[i], &y = b.scored[i];
    ASSERT_TRUE(same_bits(x.predicted_s, y.predicted_s)) << i;
    ASSERT_TRUE(same_bits(x.limit_s, y.limit_s)) << i;
    ASSERT_TRUE(same_bits(x.confidence, y.confidence)) << i;
    if (!same_bits(x.actual_s, y.actual_s)) {
      ++changed;
      continue;
    }
    ASSERT_TRUE(same_bits(x.accuracy, y.accuracy)) << i;
    ASSERT_EQ(x.covered_p90, y.covered_p90) << i;
    ASSERT_EQ(x.covered_p95, y.covered_p95) << i;
    ASSERT_EQ(x.covered_p99, y.covered_p99) << i;
  }
  EXPECT_EQ(changed > 0, some_changed);
  EXPECT_LT(changed, count);
}

Jobs::iterator first_at(Jobs& jobs, int64_t cut_s) {
  return std::find_if(jobs.begin(), jobs.end(),
                      [cut_s](const HistoryJob& job) { return job.request.submit_s >= cut_s; });
}

// Another runtime, which ends at the cut or later.
void run_otherwise(HistoryJob& job, int64_t cut_s, std::mt19937& random) {
  const int64_t not_before_s = std::max(cut_s, job.request.submit_s);
  if (job.start_s >= not_before_s) job.start_s = not_before_s + static_cast<int64_t>(random() % 99);
  job.end_s = std::max(not_before_s, job.start_s) + static_cast<int64_t>(random() % 9999);
  job.runtime_s = static_cast<double>(random() % 9999);
  job.ending = random() % 2 == 0 ? Ending::kDone : Ending::kFailed;
}

// What may be done to the future of a cut.
using Change = void (*)(Jobs& jobs, int64_t cut_s, std::mt19937& random);

void change_later(Jobs& jobs, int64_t cut_s, std::mt19937& random) {
  for (auto job = first_at(jobs, cut_s); job != jobs.end(); ++job) {
    job->request.features = jobs[random() % jobs.size()].request.features;
    job->request.limit_s = 60.0 * static_cast<double>(1 + random() % 999);
    run_otherwise(*job, cut_s, random);
  }
}

void shuffle_later(Jobs& jobs, int64_t cut_s, std::mt19937& random) {
  const auto first = first_at(jobs, cut_s);
  std::vector<int64_t> submits_s;
  for (auto job = first; job != jobs.end(); ++job) submits_s.push_back(job->request.submit_s);
  std::shuffle(first, jobs.end(), random);
  auto submit_s = submits_s.begin();
  for (auto job = first; job != jobs.end(); ++job, ++submit_s) {
    const int64_t later_s = *submit_s - job->request.submit_s;
    job->request.submit_s = *submit_s;
    if (job->start_s != 0) job->start_s += later_s;
    job->end_s += later_s;
  }
}

void delete_some_later(Jobs& jobs, int64_t cut_s, std::mt19937& random) {
  jobs.erase(std::remove_if(first_at(jobs, cut_s), jobs.end(),
                            [&random](const HistoryJob&) { return random() % 2 == 0; }),
             jobs.end());
}

void delete_all_later(Jobs& jobs, int64_t cut_s, std::mt19937&) {
  jobs.erase(first_at(jobs, cut_s), jobs.end());
}

// Those that the cut finds waiting or running.
void change_in_flight(Jobs& jobs, int64_t cut_s, std::mt19937& random) {
  for (auto job = jobs.begin(); job != first_at(jobs, cut_s); ++job) {
    if (job->end_s >= cut_s) run_otherwise(*job, cut_s, random);
  }
}

struct Future {
  const char* name;
  Change change;
};

class Honest : public testing::TestWithParam<std::tuple<Future, Moment>> {};

INSTANTIATE_TEST_SUITE_P(
    Whatever, Honest,
    testing::Combine(testing::Values(Future{"OthersFollow", change_later},
                                     Future{"TheyFollowInAnotherOrder", shuffle_later},
                                     Future{"SomeDoNotFollow", delete_some_later},
                                     Future{"NobodyFollows", delete_all_later},
                                     Future{"ThoseInFlightRunOtherwise", change_in_flight}),
                     testing::Values(Moment::kSubmit, Moment::kStart)),
    [](const auto& test) {
      return std::string(std::get<0>(test.param).name) +
             (std::get<1>(test.param) == Moment::kSubmit ? "AtSubmission" : "AtStart");
    });

TEST_P(Honest, NothingBeforeChanges) {
  const auto& [future, at] = GetParam();
  for (const uint32_t seed : {1U, 2U}) {
    const Jobs jobs = some_jobs(seed);
    const Played before = played(jobs, at);
    for (const double share : {0.25, 0.5, 0.9}) {
      const int64_t cut_s = submit_point_s(jobs, share);
      std::mt19937 random(seed);
      Jobs changed = jobs;
      future.change(changed, cut_s, random);
      const Played after = played(changed, at);
      EXPECT_EQ(different_before(before.seen, after.seen, cut_s), 0U) << share;
      const size_t scored = scored_before(jobs, cut_s, at);
      EXPECT_EQ(scored_before(changed, cut_s, at), scored);
      EXPECT_GT(scored, jobs.size() / 20);
      const bool in_flight = future.change == change_in_flight;
      expect_same_scored(before.evaluation, after.evaluation, scored, in_flight);
      // And the change is one: after the cut the two go their own ways.
      EXPECT_GT(different_before(before.seen, after.seen, kNoCut), 0U);
    }
  }
}

// The sums of the limits that calibration gave, of jobs that were all submitted before the cut.
void expect_same_limits(const Evaluation& a, const Evaluation& b) {
  for (size_t level = 0; level < kCoverageLevels.size(); ++level) {
    EXPECT_TRUE(same_bits(a.raw[level].requested_ratio, b.raw[level].requested_ratio));
    EXPECT_TRUE(same_bits(a.applied[level].requested_ratio, b.applied[level].requested_ratio));
  }
  EXPECT_TRUE(same_bits(a.requested_hours_ratio, b.requested_hours_ratio));
}

TEST(Honesty, CalibratedLimitsDoNotKnowHowJobsInFlightWillEnd) {
  Jobs jobs = some_jobs(3);
  const int64_t cut_s = jobs.back().request.submit_s + 1;
  Jobs changed = jobs;
  std::mt19937 random(3);
  change_in_flight(changed, cut_s, random);
  const Played before = played(jobs), after = played(changed);
  expect_same_limits(before.evaluation, after.evaluation);
  EXPECT_NE(before.evaluation.auspex.accuracy, after.evaluation.auspex.accuracy);
}

TEST(Honesty, CalibratedLimitsDoKnowHowJobsEnded) {
  // A model that makes nothing of the history: only calibration does.
  const ModelContent model = fixtures::deaf_pointer_model(900);
  const Jobs jobs = some_jobs(3);
  Jobs changed = jobs;
  for (size_t i = 0; i < 400; ++i) changed[i].runtime_s *= 1.5;
  const Evaluation before = played(jobs, Moment::kSubmit, model).evaluation;
  const Evaluation after = played(changed, Moment::kSubmit, model).evaluation;
  EXPECT_TRUE(same_bits(before.raw[0].requested_ratio, after.raw[0].requested_ratio));
  EXPECT_GT(after.applied[0].requested_ratio, before.applied[0].requested_ratio);
}

// Jobs that ended with a runtime, well before the others.
std::vector<size_t> some_ended(const Jobs& jobs) {
  std::vector<size_t> ended;
  const int64_t early_s = submit_point_s(jobs, 0.8);
  for (size_t i = 0; i < jobs.size() / 2; i += 50) {
    if (jobs[i].runtime_s > 0 && jobs[i].end_s < early_s) ended.push_back(i);
  }
  return ended;
}

TEST(Honesty, AJobThatEndedDoesMatterFromThenOn) {
  const Jobs jobs = some_jobs(4);
  const Played before = played(jobs);
  const std::vector<size_t> ended = some_ended(jobs);
  ASSERT_GE(ended.size(), 3U);
  for (const size_t i : ended) {
    Jobs changed = jobs;
    changed[i].runtime_s = changed[i].runtime_s * 2 + 1;
    const Played after = played(changed);
    // An end of this second is not yet known in it.
    EXPECT_EQ(different_before(before.seen, after.seen, jobs[i].end_s + 1), 0U) << i;
    EXPECT_GT(different_before(before.seen, after.seen, kNoCut), 0U) << i;

    changed = jobs;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
    const Played without = played(changed);
    EXPECT_EQ(different_before(before.seen, without.seen, jobs[i].request.submit_s), 0U) << i;
    std::vector<Seen> others;
    std::copy_if(before.seen.begin(), before.seen.end(), std::back_inserter(others),
                 [&](const Seen& seen) { return seen.job != jobs[i].nodes; });
    ASSERT_EQ(others.size(), without.seen.size());
    size_t predictions = 0;
    for (size_t k = 0; k < others.size(); ++k) {
      ASSERT_EQ(others[k].job, without.seen[k].job);
      predictions += !same_prediction(others[k].prediction, without.seen[k].prediction);
    }
    EXPECT_GT(predictions, 0U) << i;
  }
}

}  // namespace
}  // namespace auspex
