// SPDX-License-Identifier: Apache-2.0
#include "kernels/routes.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <random>
#include <span>
#include <utility>

namespace auspex {
namespace {

// Source: ours. A route is measured for as long as this at each size, but as often as that.
constexpr double kMostUs = 2000;
constexpr int kLeastTrials = 3, kMostTrials = 51;
// How much faster a finer precision has to be.
constexpr double kFinerGain = 0.9;

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

  double batch_us(size_t batch) {
    using Clock = std::chrono::steady_clock;
    const auto us = [](auto span) {
      return std::chrono::duration<double, std::micro>(span).count();
    };
    answer(batch);  // brings the weights into the caches
    std::vector<double> trials;
    const auto begin = Clock::now();
    for (int i = 0; i < kMostTrials; ++i) {
      const auto start = Clock::now();
      if (i >= kLeastTrials && us(start - begin) > kMostUs) break;
      answer(batch);
      trials.push_back(us(Clock::now() - start));
    }
    return median(std::move(trials));
  }

 private:
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
  Routes routes;
  RoutedNetwork::Networks networks;
  std::array<double, kRoutedBatches.size()> least;
  least.fill(std::numeric_limits<double>::infinity());
  for (const Plan& plan : plans_of(*model)) {
    const auto network = load_network(model, plan);
    if (!network) return network.error();
    const bool own = (*network)->backend().starts_with(model->summary().precision + "-");
    Stopwatch stopwatch(**network, pointer, samples);
    Route route = {std::string((*network)->backend()), plan.skip_rows, {}};
    for (size_t i = 0; i < kRoutedBatches.size(); ++i) {
      route.batch_us[i] = pointer && i > 0
                              ? route.batch_us[0] * static_cast<double>(kRoutedBatches[i])
                              : stopwatch.batch_us(kRoutedBatches[i]);
      if (route.batch_us[i] < (own ? 1 : kFinerGain) * least[i]) {
        least[i] = route.batch_us[i];
        routes.fastest[i] = routes.measured.size();
        networks[i] = *network;
      }
    }
    routes.measured.push_back(std::move(route));
  }
  routes.network = std::make_shared<RoutedNetwork>(std::move(networks));
  return routes;
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
