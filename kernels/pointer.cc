// SPDX-License-Identifier: Apache-2.0
// The pointer network in FP32: items to a mixture, a mixture to its points.
#include <algorithm>
#include <cmath>

#include "kernels/parts.h"

namespace auspex {
namespace {

constexpr uint32_t padded(uint32_t count) {
  return auspex::padded(count, kPadding);
}

constexpr uint32_t kMostWeights = padded(kItems + kBins);
// exp_all() takes nothing below; next to the largest weight it is nothing.
constexpr float kLeastExponent = -87;

// Shape: logits [kMostWeights], `count` of them are there -> softmax, in place
void softmax(float* logits, uint32_t count, const Fp32Functions& functions) {
  float most = logits[0];
  for (uint32_t i = 1; i < count; ++i) most = std::max(most, logits[i]);
  for (uint32_t i = 0; i < count; ++i) logits[i] = std::max(logits[i] - most, kLeastExponent);
  functions.exp_all(logits, padded(count));
  float sum = 0;
  for (uint32_t i = 0; i < count; ++i) sum += logits[i];
  const float inverse = 1 / sum;
  for (uint32_t i = 0; i < count; ++i) logits[i] *= inverse;
}

}  // namespace

void mix_items(const ModelFile& model, const HistoryView& view, const Trunk::Activations& trunk,
               const Fp32Functions& functions, Mixture& out) {
  const PointerView& p = *model.pointer();
  const uint32_t contexts = model.layers().back().inputs;
  thread_local std::vector<float> scratch;
  thread_local std::vector<const float*> rows;
  scratch.resize(size_t{p.width} + contexts);
  rows.resize(contexts);
  float* shared = scratch.data();  // Shape: [width]
  float* factors = shared + p.width;

  std::fill_n(shared, p.width, 0.0F);
  const uint32_t active =
      list_active(p.context_weights, p.width, trunk.context, contexts, rows.data(), factors);
  functions.add_rows(rows.data(), factors, active, p.width, shared);

  out.items = 0;
  out.log_limit_s = view.log_limit_s;
  alignas(64) float logits[kMostWeights] = {}, scale[padded(kItems)] = {};
  const auto add = [&](size_t first, size_t end, const float* weights) {
    const float *input[kItems + kItemTile], *slot[kItems + kItemTile];
    float heads[kItems + kItemTile][kItemHeads];
    uint32_t there = 0;
    std::array<size_t, kItems> item;
    for (size_t i = first; i < end; ++i) {
      item[there] = i;
      there += !std::isnan(view.log_s[i]);
    }
    if (there == 0) return;
    for (uint32_t k = 0; k < there + kItemTile; ++k) {  // a tile that is not full repeats its last
      const size_t i = item[std::min(k, there - 1)];
      input[k] = view.item[i].data();
      slot[k] = p.slot_bias + i * p.width;
    }
    const ItemLayer layer = {kItemInputs, p.width, weights, shared, p.head_weights};
    functions.item_heads(layer, input, slot, (there + kItemTile - 1) / kItemTile * kItemTile,
                         heads);
    for (uint32_t k = 0; k < there; ++k) {
      const float* bias = p.head_bias + item[k] * kItemHeads;
      logits[out.items] = heads[k][0] + bias[0];
      scale[out.items] = std::clamp(heads[k][1] + bias[1], kLeastLogScale, kMostLogScale);
      out.log_s[out.items++] = view.log_s[item[k]];
    }
  };
  add(0, kPastItems, p.past_weights);
  add(kPastItems, kItems, p.candidate_weights);
  functions.exp_all(scale, padded(out.items));
  std::copy_n(scale, out.items, out.scale.begin());

  const uint32_t open = open_bins(view.log_limit_s);
  std::copy_n(trunk.outputs, open, logits + out.items);
  softmax(logits, out.items + open, functions);
  std::copy_n(logits, out.items, out.weight.begin());
  std::copy_n(logits + out.items, open, out.bin_weight.begin());
  std::fill(out.bin_weight.begin() + open, out.bin_weight.end(), 0.0F);
}

namespace {

class Cdf {
 public:
  Cdf(const Mixture& m, const Fp32Functions& functions) : m_(m), laplace_(functions.laplace_cdf) {
    for (uint32_t i = 0; i < m.items; ++i) sharpness_[i] = kLog2E / m.scale[i];
    for (size_t bin = 0; bin < kBins; ++bin) below_[bin + 1] = below_[bin] + m.bin_weight[bin];
  }

  // Shape: x [points] -> cdf [points], points a multiple of kPadding
  void at(const float* x, uint32_t points, float* cdf) const {
    laplace_(x, points, m_.log_s.data(), sharpness_, m_.weight.data(), m_.items, cdf);
    for (uint32_t k = 0; k < points; ++k) {
      const float place = std::clamp(x[k] / kBinWidth, 0.0F, static_cast<float>(kBins));
      const auto bin = std::min(static_cast<size_t>(place), kBins - 1);
      cdf[k] += below_[bin] + m_.bin_weight[bin] * (place - static_cast<float>(bin));
    }
  }

 private:
  const Mixture& m_;
  decltype(Fp32Functions::laplace_cdf) laplace_;
  float sharpness_[kItems];
  float below_[kBins + 1] = {};
};

// All levels at once, from the bin that each falls into by halving it: to 0.2 % of the runtime.
// Shape: at_edge [bins + 1]; what is not reached there is beyond the limit.
void quantiles(const Cdf& cdf, const float* at_edge, uint32_t bins, MixturePoints& out) {
  constexpr int kHalvings = 7;
  static_assert(kQuantileCount <= kPadding && kBinWidth < 0.002F * (1 << kHalvings));
  float low[kPadding] = {}, high[kPadding] = {}, middle[kPadding] = {}, reached[kPadding];
  for (size_t i = 0; i < kQuantileCount; ++i) {
    const auto above = static_cast<uint32_t>(
        std::lower_bound(at_edge, at_edge + bins + 1, static_cast<float>(kQuantileLevels[i])) -
        at_edge);
    high[i] = static_cast<float>(std::min(above, bins)) * kBinWidth;
    low[i] = static_cast<float>(std::max(above, 1U) - 1) * kBinWidth;
    if (above > bins) low[i] = high[i];
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

// The bins' part of the same sum: they lie in order, so what is below a place and what is above it
// are two sums that all places share.
// Shape: place, seconds, inverse_s [items, then the open bins] -> ratios, added to
void add_bin_ratios(const Mixture& m, uint32_t bins, const float* place, const float* seconds,
                    const float* inverse_s, float* ratios) {
  const float *bin_s = seconds + m.items, *inverse_bin_s = inverse_s + m.items;
  float below[kBins + 1], above[kBins + 1];  // of the bins before each, and of it and those behind
  below[0] = above[bins] = 0;
  for (uint32_t b = 0; b < bins; ++b) below[b + 1] = below[b] + m.bin_weight[b] * bin_s[b];
  for (uint32_t b = bins; b > 0; --b) {
    above[b - 1] = above[b] + m.bin_weight[b - 1] * inverse_bin_s[b - 1];
  }
  for (uint32_t i = 0; i < m.items; ++i) {
    const float before = std::clamp(place[i] / kBinWidth + 0.5F, 0.0F, static_cast<float>(bins));
    const auto b = static_cast<uint32_t>(before);
    ratios[i] += inverse_s[i] * below[b] + seconds[i] * above[b];
  }
  for (uint32_t b = 0; b < bins; ++b) {
    ratios[m.items + b] += inverse_bin_s[b] * below[b] + bin_s[b] * above[b];
  }
  if (bins < kBins) ratios[m.items + bins] += inverse_bin_s[bins] * below[bins];
}

// E[exp(-|x - u|)], u a Laplace variable of scale b around v, is
// (exp(-|x - v|) - b exp(-|x - v| / b)) / (1 - b^2), and exp(-|difference of logs|) a ratio of
// seconds. A bin counts as its middle.
// Shape: the first `bins` are open.
void accuracy_point(const Mixture& m, uint32_t bins, const Fp32Functions& functions,
                    MixturePoints& out) {
  alignas(64) float place[kMostWeights] = {}, seconds[kMostWeights], inverse_s[kMostWeights];
  alignas(64) float weight[kMostWeights] = {}, ratios[kMostWeights], decays[kMostWeights];
  alignas(64) float sharpness[kItems], correction[kItems];
  for (uint32_t i = 0; i < m.items; ++i) {
    // At a scale of 1 the formula is 0 / 0; next to it the result is the same to five digits.
    const float b = std::abs(m.scale[i] - 1) < 1e-3F ? 1.001F : m.scale[i];
    const float factor = m.weight[i] / (1 - b * b);
    place[i] = m.log_s[i];
    weight[i] = factor;
    sharpness[i] = kLog2E / b;
    correction[i] = factor * b;
  }
  uint32_t real = m.items;
  for (size_t bin = 0; bin < bins; ++bin) {
    place[real] = std::min(bin_middle(bin), m.log_limit_s);
    weight[real++] = m.bin_weight[bin];
  }
  if (bins < kBins) place[real++] = m.log_limit_s;
  const uint32_t count = padded(real);
  for (uint32_t i = 0; i < count; ++i) {
    seconds[i] = std::clamp(place[i], kLeastExponent, -kLeastExponent);
  }
  functions.exp_all(seconds, count);
  for (uint32_t i = 0; i < count; ++i) inverse_s[i] = 1 / seconds[i];
  functions.sum_ratios(seconds, inverse_s, count, seconds, inverse_s, weight, m.items, ratios);
  add_bin_ratios(m, bins, place, seconds, inverse_s, ratios);
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
  constexpr uint32_t kEdges = padded(kBins + 2);
  const Cdf cdf(m, functions);
  const uint32_t bins = open_bins(m.log_limit_s);
  // Shape: [bins + 1], then the end of the last bin of all.
  alignas(64) float edge[kEdges] = {}, at_edge[kEdges];
  for (uint32_t i = 0; i <= bins; ++i) edge[i] = static_cast<float>(i) * kBinWidth;
  edge[bins + 1] = kLongestLogS;
  cdf.at(edge, padded(bins + 2), at_edge);
  MixturePoints points;
  // Sums that overflowed: no number is what sends every point to the limit.
  if (!std::isfinite(at_edge[bins + 1])) return no_points();
  quantiles(cdf, at_edge, bins, points);
  accuracy_point(m, bins, functions, points);
  if (!(points.confidence > 0)) return no_points();
  for (float& log_s : points.outputs) log_s = std::min(log_s, m.log_limit_s);
  alignas(64) float seconds[padded(kBins + 1)] = {};
  for (size_t bin = 0; bin < bins; ++bin) seconds[bin] = std::min(bin_middle(bin), m.log_limit_s);
  seconds[bins] = m.log_limit_s;
  functions.exp_all(seconds, padded(bins + 1));
  points.mean_s = at_edge[0];
  for (size_t bin = 0; bin <= bins; ++bin) {
    points.mean_s += (at_edge[bin + 1] - at_edge[bin]) * seconds[bin];
  }
  return points;
}

}  // namespace auspex
