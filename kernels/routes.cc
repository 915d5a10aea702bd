// SPDX-License-Identifier: Apache-2.0
#include "kernels/routes.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <span>
#include <utility>

namespace auspex {
namespace {

// Source: ours. A route is measured for about as long as this at each size, in so many rounds.
constexpr double kRoundUs = 700;
constexpr int kRounds = 3, kLeastTrials = 2, kMostTrials = 25;
// What is not twice as fast, and saves less, is not worth that a restart or a dry run predicts
// another last digit.
constexpr double kWorthIt = 0.5, kWorthUs = 5;
// What is so much slower than the usual one at one size is not measured at larger ones.
constexpr double kHopeless = 4;

// Jobs that no cache expects, and a full history.
struct Samples {
  std::vector<EncodedJob> jobs;
  HistoryView view{};

  explicit Samples(const ModelFile& model) : jobs(kRoutedBatches.back()) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> number(-1, 1);
    const uint32_t rows = model.layers().front().inputs - model.dense_inputs();
    for (EncodedJob& job : jobs) {
      job.row_count = rows > 0 ? kCategoryCount : 0;
      for (uint32_t i = 0; i < job.row_count; ++i) {
        job.rows[i] = static_cast<uint32_t>(random() % rows);
      }
      for (float& value : job.numbers) value = number(random);
    }
    view.log_limit_s = kLongestLogS;
    view.log_s.fill(kLongestLogS / 2);
    for (auto& item : view.item) {
      for (float& value : item) value = number(random);
    }
    for (float& value : view.number) value = number(random);
  }
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

class Stopwatch {
 public:
  Stopwatch(const Network& network, bool pointer, const Samples& samples)
      : network_(network), pointer_(pointer), samples_(samples), outputs_(outputs_of(samples)) {}

  // The median of the round that others disturbed least.
  double batch_us(size_t batch) {
    answer(batch);  // brings the weights into the caches
    double least = round_us(batch);
    for (int round = 1; round < kRounds; ++round) least = std::min(least, round_us(batch));
    return least;
  }

 private:
  double round_us(size_t batch) {
    using Clock = std::chrono::steady_clock;
    const auto us = [](auto span) {
      return std::chrono::duration<double, std::micro>(span).count();
    };
    std::vector<double> trials;
    const auto begin = Clock::now();
    for (int i = 0; i < kMostTrials; ++i) {
      const auto start = Clock::now();
      if (i >= kLeastTrials && us(start - begin) > kRoundUs) break;
      answer(batch);
      trials.push_back(us(Clock::now() - start));
    }
    return median(std::move(trials));
  }

  static size_t outputs_of(const Samples& samples) { return samples.jobs.size() * kOutputCount; }

  void answer(size_t batch) {
    if (!pointer_) {
      next_ = next_ + batch > samples_.jobs.size() ? 0 : next_;
      network_.predict(std::span(samples_.jobs).subspan(next_, batch), outputs_.data());
      next_ += batch;
      return;
    }
    for (size_t i = 0; i < batch; ++i) {
      next_ = (next_ + 1) % samples_.jobs.size();
      network_.mix({&samples_.jobs[next_], &samples_.view}, mixture_);
    }
  }

  const Network& network_;
  bool pointer_;
  const Samples& samples_;
  size_t next_ = 0;
  std::vector<float> outputs_;
  Mixture mixture_;
};

size_t place_of(size_t batch) {
  // The borders are the geometric means.
  size_t place = 0;
  while (place + 1 < kRoutedBatches.size() &&
         batch * batch > kRoutedBatches[place] * kRoutedBatches[place + 1]) {
    ++place;
  }
  return place;
}

class RoutedNetwork final : public Network {
 public:
  using Networks = std::array<std::shared_ptr<const Network>, kRoutedBatches.size()>;
  explicit RoutedNetwork(Networks networks) : networks_(std::move(networks)) {}

  std::string_view backend() const override { return networks_.front()->backend(); }
  void predict(std::span<const EncodedJob> jobs, float* outputs) const override {
    networks_[place_of(jobs.size())]->predict(jobs, outputs);
  }
  void mix(const PointerInput& input, Mixture& out) const override {
    networks_.front()->mix(input, out);
  }
  MixturePoints points(const Mixture& mixture) const override {
    return networks_.front()->points(mixture);
  }

 private:
  Networks networks_;
};

// The model's own on each instruction set, then FP32.
std::vector<Plan> plans_of(const ModelFile& model) {
  std::vector<Plan> plans;
  const bool fp32 = model.summary().precision == precision_name(Precision::kFp32);
  for (const std::string& set : instruction_sets(!fp32)) {
    for (const bool skip : {true, false}) plans.push_back({set, skip});
  }
  if (fp32) return plans;
  for (const std::string& backend : available_backends(Precision::kFp32)) {
    if (backend != "reference") plans.push_back({backend, true});
  }
  return plans;
}

}  // namespace

Result<Routes> Routes::measure(const std::shared_ptr<const ModelFile>& model) {
  const Samples samples(*model);
  const bool pointer = model->pointer() != nullptr;
  const std::vector<Plan> plans = plans_of(*model);
  Routes routes;
  for (const Plan& plan : plans) {
    const auto network = load_network(model, plan);
    if (!network) return network.error();
    Stopwatch stopwatch(**network, pointer, samples);
    Route route = {std::string((*network)->backend()), plan.skip_rows, {}};
    bool in_turn = pointer;
    for (size_t i = 0; i < kRoutedBatches.size(); ++i) {
      if (i > 0 && in_turn) {
        route.batch_us[i] = route.batch_us[0] * static_cast<double>(kRoutedBatches[i]);
        continue;
      }
      route.batch_us[i] = stopwatch.batch_us(kRoutedBatches[i]);
      const double usual = routes.measured.empty() ? INFINITY : routes.measured[0].batch_us[i];
      in_turn |= route.batch_us[i] > kHopeless * usual;
    }
    routes.measured.push_back(std::move(route));
  }
  routes.fastest = fastest_of(routes.measured);
  RoutedNetwork::Networks networks;
  for (size_t i = 0; i < networks.size(); ++i) {
    for (size_t before = 0; before < i && !networks[i]; ++before) {
      if (routes.fastest[before] == routes.fastest[i]) networks[i] = networks[before];
    }
    if (networks[i]) continue;
    const auto network = load_network(model, plans[routes.fastest[i]]);
    if (!network) return network.error();
    networks[i] = *network;
  }
  routes.network = std::make_shared<RoutedNetwork>(std::move(networks));
  return routes;
}

std::array<size_t, kRoutedBatches.size()> Routes::fastest_of(const std::vector<Route>& measured) {
  std::array<size_t, kRoutedBatches.size()> fastest{};
  for (size_t i = 0; i < fastest.size(); ++i) {
    for (size_t place = 1; place < measured.size(); ++place) {
      const double usual = measured[fastest[i]].batch_us[i], other = measured[place].batch_us[i];
      if (other < kWorthIt * usual && other < usual - kWorthUs) fastest[i] = place;
    }
  }
  return fastest;
}

size_t Routes::batch_that_pays() const {
  const double one = measured[fastest[0]].batch_us[0];
  for (size_t i = 1; i < kRoutedBatches.size(); ++i) {
    const double in_turn = static_cast<double>(kRoutedBatches[i] + 1) / 2 * one;
    if (measured[fastest[i]].batch_us[i] < in_turn) return kRoutedBatches[i];
  }
  return 0;
}

}  // namespace auspex
