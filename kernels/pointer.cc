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
  scratch.resize(size_t{p.width} + contexts);
  rows.resize(contexts);
  float* shared = scratch.data();  // Shape: [width]
  float* factors = shared + p.width;

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
    float head[kItemHeads];
    functions.item_heads(view.item[item].data(), kItemInputs, weights, shared,
                         p.slot_bias + item * p.width, p.head_weights, p.width, head);
    const float logit = head[0] + p.head_bias[item * kItemHeads];
    const float log_scale = head[1] + p.head_bias[item * kItemHeads + 1];
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
  Cdf(const Mixture& m, const Fp32Functions& functions) : m_(m), laplace_(functions.laplace_cdf) {
    for (uint32_t i = 0; i < m.items; ++i) inverse_[i] = 1 / m.scale[i];
    for (size_t bin = 0; bin < kBins; ++bin) below_[bin + 1] = below_[bin] + m.bin_weight[bin];
  }

  // Shape: x [points] -> cdf [points], points a multiple of kPadding
  void at(const float* x, uint32_t points, float* cdf) const {
    laplace_(x, points, m_.log_s.data(), inverse_, m_.weight.data(), m_.items, cdf);
    for (uint32_t k = 0; k < points; ++k) {
      const float place = std::clamp(x[k] / kBinWidth, 0.0F, static_cast<float>(kBins));
      const auto bin = std::min(static_cast<size_t>(place), kBins - 1);
      cdf[k] += below_[bin] + m_.bin_weight[bin] * (place - static_cast<float>(bin));
    }
  }

 private:
  const Mixture& m_;
  decltype(Fp32Functions::laplace_cdf) laplace_;
  float inverse_[kItems];
  float below_[kBins + 1] = {};
};

// All levels at once, from the bin that each falls into by halving it: to 0.2 % of the runtime.
void quantiles(const Cdf& cdf, const float* at_edge, MixturePoints& out) {
  constexpr int kHalvings = 7;
  static_assert(kQuantileCount <= kPadding && kBinWidth < 0.002F * (1 << kHalvings));
  float low[kPadding] = {}, high[kPadding] = {}, middle[kPadding] = {}, reached[kPadding];
  for (size_t i = 0; i < kQuantileCount; ++i) {
    const auto above = static_cast<size_t>(
        std::lower_bound(at_edge, at_edge + kBins + 1, static_cast<float>(kQuantileLevels[i])) -
        at_edge);
    high[i] = static_cast<float>(std::min(above, kBins)) * kBinWidth;
    low[i] = static_cast<float>(std::max<size_t>(above, 1) - 1) * kBinWidth;
    if (above > kBins) low[i] = high[i];
  }
  for (int halving = 0; halving < kHalvings; ++halving) {
    for (size_t i = 0; i < kQuantileCount; ++i) middle[i] = (low[i] + high[i]) / 2;
    cdf.at(middle, kPadding, reached);
    for (size_t i = 0; i < kQuantileCount; ++i) {
      const bool below = reached[i] < static_cast<float>(kQuantileLevels[i]);
      (below ? low[i] : high[i]) = middle[i];
    }
  }
  std::copy_n(high, kQuantileCount, out.outputs.begin());
}

// E[exp(-|x - u|)], u a Laplace variable of scale b around v, is
// (exp(-|x - v|) - b exp(-|x - v| / b)) / (1 - b^2), and exp(-|difference of logs|) a ratio of
// seconds. A bin counts as its middle.
void accuracy_point(const Mixture& m, const Fp32Functions& functions, MixturePoints& out) {
  constexpr uint32_t kMost = padded(kItems + kBins);
  alignas(64) float place[kMost], seconds[kMost], inverse_s[kMost], weight[kMost];
  alignas(64) float sharpness[kItems], correction[kItems], ratios[kMost], decays[kMost];
  uint32_t count = 0;
  const auto add = [&](float log_s, float w) {
    place[count] = log_s;
    seconds[count] = std::exp(log_s);
    inverse_s[count] = 1 / seconds[count];
    weight[count++] = w;
  };
  for (uint32_t i = 0; i < m.items; ++i) {
    // At a scale of 1 the formula is 0 / 0; next to it the result is the same to five digits.
    const float b = std::abs(m.scale[i] - 1) < 1e-3F ? 1.001F : m.scale[i];
    const float factor = m.weight[i] / (1 - b * b);
    add(m.log_s[i], factor);
    sharpness[i] = 1 / b;
    correction[i] = factor * b;
  }
  for (size_t bin = 0; bin < kBins; ++bin) {
    add(std::min(bin_middle(bin), m.log_limit_s), m.bin_weight[bin]);
  }
  const uint32_t real = count;
  while (count % kPadding != 0) add(0, 0);
  functions.sum_ratios(seconds, inverse_s, count, seconds, inverse_s, weight, real, ratios);
  functions.sum_decays(place, count, m.log_s.data(), sharpness, correction, m.items, decays);
  for (uint32_t i = 0; i < real; ++i) {
    if (ratios[i] - decays[i] > out.confidence) {
      out.confidence = ratios[i] - decays[i];
      out.outputs[kQuantileCount] = place[i];
    }
  }
}

}  // namespace

MixturePoints fast_points(const Mixture& m, const Fp32Functions& functions) {
  constexpr uint32_t kEdges = padded(kBins + 1);
  const Cdf cdf(m, functions);
  alignas(64) float edge[kEdges], at_edge[kEdges];
  for (uint32_t i = 0; i < kEdges; ++i) edge[i] = static_cast<float>(i) * kBinWidth;
  cdf.at(edge, kEdges, at_edge);
  MixturePoints points;
  // Sums that overflowed: no number is what sends every point to the limit.
  if (!std::isfinite(at_edge[kBins])) return no_points();
  quantiles(cdf, at_edge, points);
  accuracy_point(m, functions, points);
  for (float& log_s : points.outputs) log_s = std::min(log_s, m.log_limit_s);
  points.mean_s = at_edge[0];
  for (size_t bin = 0; bin < kBins; ++bin) {
    points.mean_s +=
        (at_edge[bin + 1] - at_edge[bin]) * std::exp(std::min(bin_middle(bin), m.log_limit_s));
  }
  return points;
}

}  // namespace auspex
