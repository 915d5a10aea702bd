// SPDX-License-Identifier: Apache-2.0
#include "kernels/routes.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "kernels/cuda_network.h"
#include "kernels/samples.h"
#include "shared/call_times.h"

namespace auspex {
namespace {

// Source: ours. A route is measured for about as long as this at each size, in so many rounds.
constexpr double kRoundS = 700e-6;
constexpr int kRounds = 3;
constexpr uint64_t kMostTrials = 25;
// What is not twice as fast, and saves less, is not worth that a restart or a dry run predicts
// another last digit.
constexpr double kWorthIt = 0.5, kWorthUs = 5;
// What is so much slower than the usual one at one size is not measured at larger ones.
constexpr double kHopeless = 4;

class Stopwatch {
 public:
  explicit Stopwatch(const ModelFile& model)
      : pointer_(model.pointer() != nullptr),
        jobs_(sample_jobs(model, kRoutedBatches.back())),
        views_(sample_views(pointer_ ? kViews : 0)),
        outputs_(jobs_.size() * kOutputCount) {}

  // Of a pointer network that of a single job. The median of the round that others disturbed least.
  double batch_us(const Network& network, size_t batch) {
    const CallRound round = {static_cast<uint32_t>(batch), false, kMostTrials, kRoundS};
    double least = INFINITY;
    for (int i = 0; i < kRounds; ++i) {
      std::vector<double> times_us = call_times(
          round, [&] { next_ = next_ + 2 * batch > jobs_.size() ? 0 : next_ + batch; },
          [&] { answer(network, batch); });
      least = std::min(least, quantile(times_us, 0.5));
    }
    return least;
  }

 private:
  void answer(const Network& network, size_t batch) {
    if (pointer_) {
      network.mix({&jobs_[next_], &views_[next_ % kViews]}, mixture_);
    } else {
      network.predict(std::span(jobs_).subspan(next_, batch), outputs_.data());
    }
  }

  static constexpr size_t kViews = 16;
  bool pointer_;
  std::vector<EncodedJob> jobs_;
  std::vector<HistoryView> views_;
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

// The model's own on each instruction set, then FP32; the model's own on a GPU.
std::vector<Plan> plans_of(const ModelFile& model) {
  std::vector<Plan> plans;
  const bool fp32 = model.summary().precision == precision_name(Precision::kFp32);
  for (const std::string& set : instruction_sets(!fp32)) {
    for (const bool skip : {true, false}) plans.push_back({set, skip});
  }
  for (const std::string& backend : available_backends(Precision::kFp32)) {
    if (!fp32 && backend != "reference") plans.push_back({backend, true});
  }
  if (!model.pointer() && !cuda_backends().empty()) plans.push_back({"cuda", false});
  return plans;
}

}  // namespace

Result<Routes> Routes::measure(const std::shared_ptr<const ModelFile>& model) {
  Stopwatch stopwatch(*model);
  const bool pointer = model->pointer() != nullptr;
  Routes routes;
  std::vector<Plan> plans;  // of what is measured
  for (const Plan& plan : plans_of(*model)) {
    const auto network = load_network(model, plan);
    if (!network && is_cuda(plan.backend)) continue;  // a model that is none for it
    if (!network) return network.error();
    Route route = {std::string((*network)->backend()), plan.skip_rows, {}};
    bool in_turn = pointer;
    for (size_t i = 0; i < kRoutedBatches.size(); ++i) {
      if (i > 0 && in_turn) {
        route.batch_us[i] = route.batch_us[0] * static_cast<double>(kRoutedBatches[i]);
        continue;
      }
      route.batch_us[i] = stopwatch.batch_us(**network, kRoutedBatches[i]);
      const double usual = routes.measured.empty() ? INFINITY : routes.measured[0].batch_us[i];
      in_turn |= route.batch_us[i] > kHopeless * usual;
    }
    routes.measured.push_back(std::move(route));
    plans.push_back(plan);
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
