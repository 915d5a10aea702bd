// SPDX-License-Identifier: Apache-2.0
// The network that points at past runtimes: every backend against the double-precision reference,
// and what a predictor makes of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/network.h"
#include "kernels/predictor.h"
#include "tests/fixtures/models.h"
#include "tests/fixtures/past_jobs.h"

namespace auspex {
namespace {

using fixtures::kForever;

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
constexpr uint32_t kValues = 10;

std::shared_ptr<const ModelFile> model_of(const ModelContent& content) {
  auto model = ModelFile::of(content);
  EXPECT_TRUE(model.ok()) << model.error().message;
  return *model;
}

std::shared_ptr<const ModelFile> random_model(const std::vector<uint32_t>& hidden, uint32_t width) {
  return model_of(fixtures::random_pointer_model(hidden, width, kValues, 7));
}

std::shared_ptr<const Network> network_of(const std::shared_ptr<const ModelFile>& model,
                                          std::string_view backend) {
  auto network = load_network(model, backend);
  EXPECT_TRUE(network.ok()) << network.error().message;
  return *network;
}

// Half of the values are unknown to the model; every fifth is missing.
Features random_features(std::mt19937& random) {
  std::normal_distribution<float> normal;
  Features features;
  for (size_t field = 0; field < kCategoryCount; ++field) {
    const auto value = static_cast<uint32_t>(random() % (2 * kValues));
    if (random() % 5 != 0) features.category[field] = fixtures::category_hash(field, value);
  }
  for (float& number : features.number) number = random() % 5 == 0 ? kNone : normal(random);
  return features;
}

float log_of(double limit_s) {
  return std::isfinite(limit_s) ? static_cast<float>(std::log(limit_s)) : kLongestLogS;
}

// share: of the items that are there. None of them is beyond the limit.
HistoryView random_view(double share, double limit_s, std::mt19937& random) {
  std::uniform_real_distribution<float> part(0, 1), input(-1, 1);
  HistoryView view{};
  view.log_limit_s = log_of(limit_s);
  view.log_s.fill(kNone);
  for (size_t item = 0; item < kItems; ++item) {
    if (part(random) >= static_cast<float>(share)) continue;
    view.log_s[item] = part(random) * std::min(view.log_limit_s, kLongestLogS);
    for (float& number : view.item[item]) number = input(random);
  }
  // What is not known of the past is zero.
  for (float& number : view.number) number = part(random) < share ? input(random) : 0;
  return view;
}

struct Case {
  Features features;
  HistoryView view{};
  double limit_s = 0;
};

// Empty, full, half empty histories below every kind of limit.
std::vector<Case> cases() {
  std::mt19937 random(5);
  std::vector<Case> all;
  for (const double limit_s : {60.0, 600.0, 3600.0, 86400.0, 2.6e6, 8.6e6, kForever}) {
    for (const double share : {0.0, 1.0, 0.5, 0.5, 0.1}) {
      all.push_back({random_features(random), random_view(share, limit_s, random), limit_s});
    }
  }
  return all;
}

Mixture mixture_of(const std::shared_ptr<const ModelFile>& model, std::string_view backend,
                   const Case& job) {
  const EncodedJob encoded = model->encode(job.features);
  Mixture mixture;
  mixture.weight.fill(kNone);  // a place that is read and was not written shows
  mixture.bin_weight.fill(kNone);
  network_of(model, backend)->mix({&encoded, &job.view}, mixture);
  return mixture;
}

// A logit is a sum of products of up to 512 terms near one, of which each adds 2^-24 of its size:
// up to some 1e-5, which is what exp() makes a relative error of. Below the least normal weight of
// such a sum, 1e-7, nothing counts.
void expect_close(float value, float truth, const std::string& what) {
  ASSERT_NEAR(value, truth, 1e-4 * std::abs(truth) + 1e-7) << what;
}

void expect_agreement(const std::shared_ptr<const ModelFile>& model, const std::string& shape) {
  for (const Case& job : cases()) {
    const Mixture truth = mixture_of(model, "reference", job);
    for (const std::string& name : available_backends(Precision::kFp32)) {
      const std::string where =
          std::string(name) + ", " + shape + ", limit " + std::to_string(job.limit_s);
      const Mixture mixture = mixture_of(model, name, job);
      ASSERT_EQ(mixture.items, truth.items) << where;
      ASSERT_EQ(mixture.log_limit_s, job.view.log_limit_s) << where;
      for (uint32_t i = 0; i < truth.items; ++i) {
        const std::string item = where + ", item " + std::to_string(i);
        ASSERT_EQ(mixture.log_s[i], truth.log_s[i]) << item;
        expect_close(mixture.weight[i], truth.weight[i], item);
        expect_close(mixture.scale[i], truth.scale[i], item);
      }
      for (size_t bin = 0; bin < kBins; ++bin) {
        expect_close(mixture.bin_weight[bin], truth.bin_weight[bin],
                     where + ", bin " + std::to_string(bin));
      }
    }
  }
}

const std::vector<std::vector<uint32_t>> kHidden = {{9, 5}, {32, 16}, {256, 128}};

TEST(Pointer, BackendsMixAsTheReferenceOnEveryShape) {
  // Widths around the vector sizes, 8 and 16.
  for (const auto& hidden : kHidden) {
    for (const uint32_t width : {1U, 7U, 8U, 16U, 33U}) {
      const std::string shape =
          "hidden " + std::to_string(hidden[0]) + ", width " + std::to_string(width);
      ASSERT_NO_FATAL_FAILURE(expect_agreement(random_model(hidden, width), shape));
    }
  }
}

TEST(Pointer, AMixtureHoldsTheItemsThatAreThereAndSumsToOne) {
  const auto model = random_model({32, 16}, 8);
  for (const Case& job : cases()) {
    std::vector<float> present;
    std::copy_if(job.view.log_s.begin(), job.view.log_s.end(), std::back_inserter(present),
                 [](float log_s) { return !std::isnan(log_s); });
    for (const auto& [name, precision] : available_backends()) {
      const Mixture m = mixture_of(model, name, job);
      EXPECT_EQ(std::vector<float>(m.log_s.begin(), m.log_s.begin() + m.items), present) << name;
      const double bins = std::accumulate(m.bin_weight.begin(), m.bin_weight.end(), 0.0);
      EXPECT_NEAR(std::accumulate(m.weight.begin(), m.weight.begin() + m.items, bins), 1, 1e-5);
      for (uint32_t i = 0; i < m.items; ++i) {
        EXPECT_GE(m.scale[i], std::exp(kLeastLogScale) * 0.9999F);
        EXPECT_LE(m.scale[i], std::exp(kMostLogScale) * 1.0001F);
      }
    }
  }
}

TEST(Pointer, NothingLiesInABinBeyondTheLimit) {
  const auto model = random_model({32, 16}, 8);
  for (const Case& job : cases()) {
    const auto last_open = static_cast<size_t>(job.view.log_limit_s / kBinWidth);
    for (const auto& [name, precision] : available_backends()) {
      const Mixture m = mixture_of(model, name, job);
      for (size_t bin = 0; bin < kBins; ++bin) {
        EXPECT_EQ(m.bin_weight[bin] > 0, bin <= last_open)
            << name << ", bin " << bin << ", limit " << job.limit_s;
      }
    }
  }
}

TEST(Pointer, AKernelIsNeitherNarrowerNorWiderThanItMay) {
  ModelContent content = fixtures::random_pointer_model({9, 5}, 7, kValues, 7);
  std::mt19937 random(3);
  const Case job{random_features(random), random_view(1, 3600, random), 3600};
  for (const auto& [bias, log_scale] :
       {std::pair(-90.0F, kLeastLogScale), {90.0F, kMostLogScale}}) {
    for (size_t item = 0; item < kItems; ++item) {
      content.pointer->head_bias[item * kItemHeads + 1] = bias;
    }
    const auto model = model_of(content);
    for (const auto& [name, precision] : available_backends()) {
      const Mixture m = mixture_of(model, name, job);
      for (const float scale : m.scale) EXPECT_FLOAT_EQ(scale, std::exp(log_scale)) << name;
    }
  }
}

TEST(Pointer, ALargerModelBeforeItChangesNothing) {
  const auto small = random_model({9, 5}, 7), large = random_model({256, 128}, 33);
  const std::vector<Case> all = cases();
  for (const auto& [name, precision] : available_backends()) {
    const Mixture before = mixture_of(small, name, all[2]);
    mixture_of(large, name, all[1]);
    const Mixture after = mixture_of(small, name, all[2]);
    EXPECT_EQ(std::vector(before.weight.begin(), before.weight.begin() + before.items),
              std::vector(after.weight.begin(), after.weight.begin() + after.items));
    EXPECT_EQ(before.bin_weight, after.bin_weight) << name;
  }
}

// E[min/max of exp(x) and exp(v)], v a Laplace variable of scale b at a distance d, by its formula;
// 0.5 (1 + d) exp(-d) at b = 1, to which the formula tends.
double accuracy_around(double d, double b) {
  if (b == 1) return 0.5 * (1 + d) * std::exp(-d);
  return (std::exp(-d) - b * std::exp(-d / b)) / (1 - b * b);
}

double expected_accuracy(const Mixture& m, double x) {
  double sum = 0;
  for (uint32_t i = 0; i < m.items; ++i) {
    sum += m.weight[i] * accuracy_around(std::abs(x - m.log_s[i]), m.scale[i]);
  }
  for (size_t bin = 0; bin < kBins; ++bin) {
    sum += m.bin_weight[bin] * std::exp(-std::abs(x - std::min(bin_middle(bin), m.log_limit_s)));
  }
  return sum;
}

double best_accuracy(const Mixture& m) {
  double best = 0;
  for (uint32_t i = 0; i < m.items; ++i) best = std::max(best, expected_accuracy(m, m.log_s[i]));
  for (size_t bin = 0; bin < kBins; ++bin) {
    best = std::max(best, expected_accuracy(m, std::min(bin_middle(bin), m.log_limit_s)));
  }
  return best;
}

void expect_the_references_points(const std::shared_ptr<const ModelFile>& model, const Mixture& m,
                                  std::string_view name) {
  const MixturePoints truth = network_of(model, "reference")->points(m);
  const MixturePoints points = network_of(model, name)->points(m);
  for (size_t i = 0; i < kQuantileCount; ++i) {
    // Bisected to 0.002.
    EXPECT_NEAR(points.outputs[i], truth.outputs[i], 0.003) << name << ", quantile " << i;
    EXPECT_LE(points.outputs[i], m.log_limit_s) << name;
    EXPECT_GE(points.outputs[i], 0) << name;
    EXPECT_GE(points.outputs[i], points.outputs[i - (i > 0 ? 1 : 0)]) << name << ", " << i;
  }
  EXPECT_LE(points.outputs[kQuantileCount], m.log_limit_s) << name;
  // Near a scale of 1 the formula loses digits: 2e-7 of exp() divided by 2e-3.
  EXPECT_NEAR(points.confidence, truth.confidence, 1e-3) << name;
  EXPECT_NEAR(points.confidence, best_accuracy(m), 1e-3) << name;
  EXPECT_NEAR(expected_accuracy(m, points.outputs[kQuantileCount]), best_accuracy(m), 1e-3) << name;
  EXPECT_NEAR(points.mean_s, truth.mean_s, 0.005 * truth.mean_s) << name;
}

TEST(Points, AreTheReferencesOnEveryView) {
  for (const auto& hidden : kHidden) {
    const auto model = random_model(hidden, 8);
    for (const Case& job : cases()) {
      const Mixture m = mixture_of(model, "reference", job);
      for (const std::string& name : available_backends(Precision::kFp32)) {
        expect_the_references_points(model, m, name);
      }
    }
  }
}

TEST(Points, TheExpectedAccuracyIsTheIntegralOverTheKernel) {
  for (const double b : {0.3, 1.0, 1.7}) {
    const double scale = static_cast<double>(static_cast<float>(b));
    double sum = 0;
    constexpr double kStep = 1e-3;
    for (double u = -40; u < 40; u += kStep) {
      const double density = std::exp(-std::abs(u) / scale) / (2 * scale);
      sum += density * std::exp(-std::abs(u - 1.25)) * kStep;
    }
    EXPECT_NEAR(accuracy_around(1.25, scale), sum, 1e-5) << b;
  }
}

std::string test_name(const testing::TestParamInfo<AvailableBackend>& backend) {
  std::string name(backend.param.name);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == ':'; }, '_');
  return name;
}

class PointerPredictor : public testing::TestWithParam<AvailableBackend> {
 protected:
  std::shared_ptr<const RuntimePredictor> predictor(const ModelContent& content) const {
    auto loaded = RuntimePredictor::with(model_of(content), GetParam().name);
    EXPECT_TRUE(loaded.ok());
    return *loaded;
  }
  std::shared_ptr<const RuntimePredictor> predictor_ =
      predictor(fixtures::random_pointer_model({32, 16}, 8, kValues, 7));
};
INSTANTIATE_TEST_SUITE_P(Points, PointerPredictor, testing::ValuesIn(available_backends()),
                         test_name);

TEST_P(PointerPredictor, NeverGoesBeyondTheLimit) {
  for (Case job : cases()) {
    for (const bool hostile : {false, true}) {
      if (hostile) {  // items beyond the limit, and a limit beyond the request's: no history's
        job.view.log_s.fill(15);
        job.view.log_limit_s = kLongestLogS;
      }
      const Prediction p = predictor_->predict({job.features, 0, job.limit_s}, job.view);
      for (const double quantile_s : p.quantiles_s) {
        EXPECT_LE(quantile_s, job.limit_s);
        EXPECT_GE(quantile_s, 1);
      }
      EXPECT_LE(p.accuracy_point_s, job.limit_s);
      EXPECT_LE(p.mean_s.value(), job.limit_s);
      EXPECT_TRUE(std::is_sorted(p.quantiles_s.begin(), p.quantiles_s.end()));
      EXPECT_GT(p.confidence.value(), 0);
      EXPECT_LE(p.confidence.value(), 1);
      EXPECT_EQ(p.backend, GetParam().name);
    }
  }
}

void expect_same(const Prediction& a, const Prediction& b) {
  EXPECT_EQ(a.quantiles_s, b.quantiles_s);
  EXPECT_EQ(a.accuracy_point_s, b.accuracy_point_s);
  EXPECT_EQ(a.mean_s, b.mean_s);
  EXPECT_EQ(a.confidence, b.confidence);
}

Submission submission_of(const std::string& user) {
  Submission submission;
  submission.user = user;
  submission.submit_time_s = 1'600'000'000;
  submission.time_limit_min = 60;
  return submission;
}

TEST_P(PointerPredictor, WithoutAHistoryIsAsOnTheFirstDay) {
  const Submission submission = submission_of("anna");
  const JobHistory empty;
  expect_same(predictor_->predict(history_request_of(submission)),
              predictor_->predict(history_request_of(submission), &empty));
}

TEST_P(PointerPredictor, LooksAtTheHistory) {
  const Submission submission = submission_of("anna");
  JobHistory history;
  for (int back = 9; back > 0; --back) {
    const int64_t at_s = submission.submit_time_s - 1000 * back;
    fixtures::run(history, fixtures::job_of("anna", "a", at_s, at_s, 500));
  }
  const Prediction p = predictor_->predict(history_request_of(submission), &history);
  EXPECT_NE(p.quantiles_s, predictor_->predict(history_request_of(submission)).quantiles_s);
  HistoryView view;
  const HistoryRequest request = history_request_of(submission);
  history.view(request, submission.submit_time_s, view);
  Prediction own = predictor_->predict(request, view);
  history.calibrate(request, view, own);
  expect_same(p, own);
}

TEST_P(PointerPredictor, OfThePapersNetworkDoesNotLookAtIt) {
  const auto plain = predictor(fixtures::random_model({16}, kValues, 3));
  EXPECT_TRUE(predictor_->reads_history());
  EXPECT_FALSE(plain->reads_history());
  const Submission submission = submission_of("anna");
  JobHistory history;
  fixtures::run(history, fixtures::job_of("anna", "a", 1'599'990'000, 1'599'990'000, 500));
  const Prediction p = plain->predict(history_request_of(submission), &history);
  expect_same(p, plain->predict(history_request_of(submission)));
  EXPECT_FALSE(p.mean_s || p.confidence);
}

}  // namespace
}  // namespace auspex
