// SPDX-License-Identifier: Apache-2.0
// The pointer network in FP32: items to a mixture, a mixture to its points.
#include <algorithm>
#include <cmath>

#include "kernels/backends.h"

namespace auspex {
namespace {

constexpr uint32_t padded(uint32_t count) {
  return (count + kPadding - 1) / kPadding * kPadding;
}

// Exponentials of logits, less the largest; what does not exist has -infinity.
void softmax(float* items, uint32_t count, float* bins) {
  float most = bins[0];
  for (uint32_t i = 0; i < count; ++i) most = std::max(most, items[i]);
  for (size_t bin = 0; bin < kBins; ++bin) most = std::max(most, bins[bin]);
  float sum = 0;
  const auto raise = [&](float& logit) {
    logit = std::exp(logit - most);
    sum += logit;
  };
  for (uint32_t i = 0; i < count; ++i) raise(items[i]);
  for (size_t bin = 0; bin < kBins; ++bin) raise(bins[bin]);
  const float inverse = 1 / sum;
  for (uint32_t i = 0; i < count; ++i) items[i] *= inverse;
  for (size_t bin = 0; bin < kBins; ++bin) bins[bin] *= inverse;
}

}  // namespace

// Shape: context [inputs of the last layer], bin_logits [kBins]
void mix_items(const ModelFile& model, const HistoryView& view, const float* context,
               const float* bin_logits, const Fp32Functions& functions, Mixture& out) {
  const PointerView& p = *model.pointer();
  const uint32_t contexts = model.layers().back().inputs;
  thread_local std::vector<float> scratch;
  thread_local std::vector<const float*> rows;
  scratch.resize(2 * size_t{p.width} + contexts);
  rows.resize(std::max<size_t>(contexts, kItemInputs));
  float* shared = scratch.data();
  float* hidden = shared + p.width;
  float* factors = hidden + p.width;

  std::fill_n(shared, p.width, 0.0F);
  uint32_t active = 0;
  for (uint32_t i = 0; i < contexts; ++i) {
    rows[active] = p.context_weights + size_t{i} * p.width;
    factors[active] = context[i];
    active += context[i] != 0;
  }
  functions.add_rows(rows.data(), factors, active, p.width, shared);

  out.items = 0;
  out.log_limit_s = view.log_limit_s;
  for (size_t item = 0; item < kItems; ++item) {
    if (std::isnan(view.log_s[item])) continue;
    const float* weights = item < kPastItems ? p.past_weights : p.candidate_weights;
    const float* slot = p.slot_bias + item * p.width;
    for (uint32_t j = 0; j < p.width; ++j) hidden[j] = shared[j] + slot[j];
    for (size_t i = 0; i < kItemInputs; ++i) rows[i] = weights + i * p.width;
    functions.add_rows(rows.data(), view.item[item].data(), kItemInputs, p.width, hidden);
    float logit = p.head_bias[item * kItemHeads];
    float log_scale = p.head_bias[item * kItemHeads + 1];
    for (uint32_t j = 0; j < p.width; ++j) {
      const float h = hidden[j] > 0 ? hidden[j] : 0;
      logit += h * p.head_weights[j * kItemHeads];
      log_scale += h * p.head_weights[j * kItemHeads + 1];
    }
    out.log_s[out.items] = view.log_s[item];
    out.scale[out.items] = std::exp(std::clamp(log_scale, kLeastLogScale, kMostLogScale));
    out.weight[out.items] = logit;
    ++out.items;
  }
  for (size_t bin = 0; bin < kBins; ++bin) {
    out.bin_weight[bin] =
        bin_open(bin, view.log_limit_s) ? bin_logits[bin] : -std::numeric_limits<float>::infinity();
  }
  softmax(out.weight.data(), out.items, out.bin_weight.data());
}

namespace {

class Cdf {
 public:
  Cdf(const Mixture& m, const Fp32Functions& functions)
      : m_(m), laplace_(functions.laplace_cdf), count_(padded(m.items)) {
    for (uint32_t i = 0; i < count_; ++i) {
      const bool present = i < m.items;
      v_[i] = present ? m.log_s[i] : 0;
      inverse_[i] = present ? 1 / m.scale[i] : 0;
      weight_[i] = present ? m.weight[i] : 0;
    }
    for (size_t bin = 0; bin < kBins; ++bin) below_[bin + 1] = below_[bin] + m.bin_weight[bin];
  }

  float at(float x) const {
    const float place = std::clamp(x / kBinWidth, 0.0F, static_cast<float>(kBins));
    const auto bin = std::min(static_cast<size_t>(place), kBins - 1);
    return laplace_(v_, inverse_, weight_, count_, x) + below_[bin] +
           m_.bin_weight[bin] * (place - static_cast<float>(bin));
  }

 private:
  const Mixture& m_;
  decltype(Fp32Functions::laplace_cdf) laplace_;
  uint32_t count_;
  alignas(64) float v_[padded(kItems)], inverse_[padded(kItems)], weight_[padded(kItems)];
  float below_[kBins + 1] = {};
};

void accuracy_point(const Mixture& m, const Fp32Functions& functions, MixturePoints& out) {
  constexpr uint32_t kMost = padded(kItems + kBins);
  alignas(64) float place[kMost], scale[kMost], weight[kMost], score[kMost];
  uint32_t count = 0;
  const auto add = [&](float log_s, float b, float w) {
    place[count] = log_s;
    scale[count] = b;
    weight[count++] = w;
  };
  // At a scale of 1 the formula is 0 / 0; next to it the result is the same to five digits.
  const auto off_one = [](float b) { return std::abs(b - 1) < 1e-3F ? 1.001F : b; };
  for (uint32_t i = 0; i < m.items; ++i) add(m.log_s[i], off_one(m.scale[i]), m.weight[i]);
  for (size_t bin = 0; bin < kBins; ++bin) {
    add(std::min(bin_middle(bin), m.log_limit_s), 0, m.bin_weight[bin]);
  }
  const uint32_t real = count;
  while (count % kPadding != 0) add(0, 0, 0);
  functions.expected_accuracy(place, count, place, scale, weight, count, score);
  const auto best = static_cast<size_t>(std::max_element(score, score + real) - score);
  out.outputs[kQuantileCount] = place[best];
  out.confidence = score[best];
}

}  // namespace

MixturePoints fast_points(const Mixture& m, const Fp32Functions& functions) {
  const Cdf cdf(m, functions);
  std::array<float, kBins + 1> at_edge{};
  for (size_t edge = 0; edge <= kBins; ++edge) {
    at_edge[edge] = cdf.at(static_cast<float>(edge) * kBinWidth);
  }
  MixturePoints points;
  for (size_t i = 0; i < kQuantileCount; ++i) {
    const auto level = static_cast<float>(kQuantileLevels[i]);
    const auto above = static_cast<size_t>(std::lower_bound(at_edge.begin(), at_edge.end(), level) -
                                           at_edge.begin());
    float high = static_cast<float>(std::min(above, kBins)) * kBinWidth;
    if (above > 0) {
      float low = static_cast<float>(above - 1) * kBinWidth;
      // To 0.2 % of the runtime.
      while (high - low > 0.002F) {
        const float middle = (low + high) / 2;
        (cdf.at(middle) < level ? low : high) = middle;
      }
    }
    points.outputs[i] = std::min(high, m.log_limit_s);
  }
  accuracy_point(m, functions, points);
  points.mean_s = at_edge[0];
  for (size_t bin = 0; bin < kBins; ++bin) {
    points.mean_s +=
        (at_edge[bin + 1] - at_edge[bin]) * std::exp(std::min(bin_middle(bin), m.log_limit_s));
  }
  return points;
}

}  // namespace auspex
