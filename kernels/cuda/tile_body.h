// SPDX-License-Identifier: Apache-2.0
// The whole network for many samples, in one launch: a block takes a tile of them through all
// layers. Only indices come in and only outputs go out; activations stay in shared memory.
#pragma once

#include "kernels/cuda/tile_input.h"

namespace auspex::cuda {

template <Format kFormat>
struct Sum {
  using type = float;
};
template <>
struct Sum<Format::kInt8> {
  using type = int32_t;
};
template <>
struct Sum<Format::kInt4> {
  using type = int32_t;
};
template <>
struct Sum<Format::kPairs> {
  using type = int32_t;
};

// sum += the products of a step: weights of 16 columns with the inputs of 8 samples.
template <Format kFormat>
AUSPEX_DEVICE void multiply_step(typename Sum<kFormat>::type (&sum)[4], const Words (&a)[2],
                                 uint32_t places, const Words& b) {
  if constexpr (kFormat == Format::kPairs) {
    multiply_pairs(sum, a[0].word, b.word, places);
  } else if constexpr (kFormat == Format::kInt4) {
    // Half bytes are the high half of a byte: sixteen times as much, which the scale takes back.
    uint32_t low[4], high[4];
    AUSPEX_UNROLL()
    for (uint32_t i = 0; i < 4; ++i) {
      low[i] = a[0].word[i] << 4 & 0xf0f0f0f0U;
      high[i] = a[0].word[i] & 0xf0f0f0f0U;
    }
    multiply_int8(sum, low, b.word[0], b.word[1]);
    multiply_int8(sum, high, b.word[2], b.word[3]);
  } else {
    AUSPEX_UNROLL()
    for (uint32_t i = 0; i < 2; ++i) {
      const uint32_t b0 = b.word[2 * i], b1 = b.word[2 * i + 1];
      if constexpr (kFormat == Format::kTf32) multiply_tf32(sum, a[i].word, b0, b1);
      if constexpr (kFormat == Format::kBf16) multiply_bf16(sum, a[i].word, b0, b1);
      if constexpr (kFormat == Format::kFp16) multiply_fp16(sum, a[i].word, b0, b1);
      if constexpr (kFormat == Format::kInt8) multiply_int8(sum, a[i].word, b0, b1);
    }
  }
}

// One output, on its way to y. scale: of integers.
AUSPEX_DEVICE void finish(const TileLayer& layer, const TileParams& p, const TileShared& s,
                          uint32_t sample, uint32_t column, float scale, float bias, float sum) {
  if (is_integer(layer.format)) sum *= s.scale[sample] * scale;
  sum += bias;
  if (!is_finite(sum)) s.lost[sample] = 1;
  s.y[sample * p.y_stride + column] = layer.relu ? positive(sum) : sum;
}

// Where the lane's inputs begin in a tile from `sample` on. stride: bytes from one sample to the
// next.
AUSPEX_DEVICE const Words* lane_inputs(const char* x, uint32_t sample, uint32_t stride) {
  return reinterpret_cast<const Words*>(x + size_t{sample + lane() / 4} * stride +
                                        lane() % 4 * sizeof(Words));
}

// sum += a step of columns [column, column + 32) times 8 kSamples samples. x: the lane's inputs of
// that step; x_words: from one sample to the next.
template <Format kFormat, uint32_t kSamples>
AUSPEX_DEVICE void add_step(typename Sum<kFormat>::type (&sum)[2][kSamples][4],
                            const TileLayer& layer, uint32_t column, uint32_t step, const Words* x,
                            uint32_t x_words) {
  constexpr uint32_t kFragments = step_fragments(kFormat);
  Words a[2][2] = {}, b[kSamples];
  uint32_t places[2] = {};
  AUSPEX_UNROLL()
  for (uint32_t j = 0; j < 2; ++j) {
    const size_t at = size_t{column / 16 + j} * layer.steps + step;
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < kFragments; ++k) {
      a[j][k] = fetch(layer.weights + (at * kFragments + k) * 32 + lane());
    }
    if constexpr (kFormat == Format::kPairs) places[j] = fetch(layer.places + at * 32 + lane());
  }
  AUSPEX_UNROLL()
  for (uint32_t i = 0; i < kSamples; ++i) b[i] = read(x + i * 8 * x_words);
  AUSPEX_UNROLL()
  for (uint32_t j = 0; j < 2; ++j) {
    AUSPEX_UNROLL()
    for (uint32_t i = 0; i < kSamples; ++i) {
      multiply_step<kFormat>(sum[j][i], a[j], places[j], b[i]);
    }
  }
}
inline constexpr uint32_t kStepWords = kStepBytes / sizeof(Words);

// Calls give(sample, column, quarter, sum) for each of a lane's, counted from the warp's first;
// quarter: which of the lane's four columns.
template <class Value, uint32_t kSamples, class Give>
AUSPEX_DEVICE void for_each_sum(const Value (&sum)[2][kSamples][4], const Give& give) {
  AUSPEX_UNROLL()
  for (uint32_t j = 0; j < 2; ++j) {
    AUSPEX_UNROLL()
    for (uint32_t i = 0; i < kSamples; ++i) {
      AUSPEX_UNROLL()
      for (uint32_t k = 0; k < 4; ++k) {
        give(8 * i + lane() % 4 * 2 + k % 2, 16 * j + lane() / 4 + k / 2 * 8, 2 * j + k / 2,
             static_cast<float>(sum[j][i][k]));
      }
    }
  }
}

// A warp's: columns [column, column + 32) of samples [sample, sample + 8 kSamples).
template <Format kFormat, uint32_t kSamples>
AUSPEX_DEVICE void multiply_tile(const TileLayer& layer, const TileParams& p, const TileShared& s,
                                 uint32_t column, uint32_t sample) {
  typename Sum<kFormat>::type sum[2][kSamples][4] = {};
  float scale[4] = {}, bias[4];
  AUSPEX_UNROLL()
  for (uint32_t j = 0; j < 4; ++j) {
    const uint32_t at = column + 8 * j + lane() / 4;
    bias[j] = fetch(layer.bias + at);
    if (is_integer(kFormat)) scale[j] = fetch(layer.scale + at);
  }
  const Words* const x = lane_inputs(s.x, sample, p.x_stride);
  const uint32_t x_words = p.x_stride / sizeof(Words);
  AUSPEX_UNROLL(2)
  for (uint32_t step = 0; step < layer.steps; ++step) {
    add_step<kFormat>(sum, layer, column, step, x + step * kStepWords, x_words);
  }
  for_each_sum(sum, [&](uint32_t of, uint32_t at, uint32_t quarter, float value) {
    finish(layer, p, s, sample + of, column + at, scale[quarter], bias[quarter], value);
  });
}

// The same without tensor cores: a lane for each column. weights: at the lane's column, of the
// first of so many inputs; x: at that input of the first of kRows samples.
template <uint32_t kRows>
AUSPEX_DEVICE void add_inputs(float (&sum)[kRows], const float* weights, uint32_t columns,
                              uint32_t inputs, const char* x, uint32_t stride) {
  for (uint32_t i = 0; i < inputs; i += 4) {
    float weight[4];
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < 4; ++k) weight[k] = fetch(weights + size_t{i + k} * columns);
    AUSPEX_UNROLL()
    for (uint32_t row = 0; row < kRows; ++row) {
      const Words four =
          read(reinterpret_cast<const Words*>(x + size_t{row} * stride + i * sizeof(float)));
      AUSPEX_UNROLL()
      for (uint32_t k = 0; k < 4; ++k) sum[row] += weight[k] * float_of(four.word[k]);
    }
  }
}
inline constexpr uint32_t kStepFloats = kStepBytes / sizeof(float);

template <uint32_t kSamples>
AUSPEX_DEVICE void multiply_fp32(const TileLayer& layer, const TileParams& p, const TileShared& s,
                                 uint32_t column, uint32_t sample) {
  constexpr uint32_t kRows = 8 * kSamples;
  float sum[kRows] = {};
  const float* const weights = reinterpret_cast<const float*>(layer.weights) + column + lane();
  const float bias = fetch(layer.bias + column + lane());
  add_inputs(sum, weights, layer.columns, layer.steps * kStepFloats,
             s.x + size_t{sample} * p.x_stride, p.x_stride);
  for (uint32_t row = 0; row < kRows; ++row) {
    finish(layer, p, s, sample + row, column + lane(), 0, bias, sum[row]);
  }
}

// s.x -> s.y
template <uint32_t kTile>
AUSPEX_DEVICE void run_layer(const TileLayer& layer, const TileParams& p, const TileShared& s) {
  constexpr uint32_t kSamples = kTile / 8 < 4 ? kTile / 8 : 4, kParts = kTile / (8 * kSamples);
  const uint32_t items = layer.columns / kTileStep * kParts;
  for (uint32_t item = warp(); item < items; item += kWarps) {
    const uint32_t column = item / kParts * kTileStep, sample = item % kParts * 8 * kSamples;
    switch (layer.format) {
      case Format::kFp32:
        multiply_fp32<kSamples>(layer, p, s, column, sample);
        break;
      case Format::kTf32:
        multiply_tile<Format::kTf32, kSamples>(layer, p, s, column, sample);
        break;
      case Format::kBf16:
        multiply_tile<Format::kBf16, kSamples>(layer, p, s, column, sample);
        break;
      case Format::kFp16:
        multiply_tile<Format::kFp16, kSamples>(layer, p, s, column, sample);
        break;
      case Format::kInt8:
        multiply_tile<Format::kInt8, kSamples>(layer, p, s, column, sample);
        break;
      case Format::kInt4:
        multiply_tile<Format::kInt4, kSamples>(layer, p, s, column, sample);
        break;
      case Format::kPairs:
        multiply_tile<Format::kPairs, kSamples>(layer, p, s, column, sample);
        break;
    }
  }
}

// s.y [tile][columns] -> s.x, as the next layer reads it; a warp for each sample, 512 columns at
// once.
template <uint32_t kTile>
AUSPEX_DEVICE void hand_over(uint32_t columns, const TileLayer& next, const TileParams& p,
                             const TileShared& s) {
  constexpr uint32_t kAtOnce = 4;
  const uint32_t inputs = next.steps * kStepBytes / element_bytes(next.format);
  for (uint32_t sample = warp(); sample < kTile; sample += kWarps) {
    const float* const y = s.y + size_t{sample} * p.y_stride;
    char* const x = s.x + size_t{sample} * p.x_stride;
    float most = 0;
    for (uint32_t begin = lane() * 4; begin < columns; begin += kAtOnce * 128) {
      AUSPEX_UNROLL()
      for (uint32_t i = 0; i < kAtOnce; ++i) {
        if (begin + i * 128 >= columns) continue;
        const Words four = read(reinterpret_cast<const Words*>(y + begin + i * 128));
        AUSPEX_UNROLL()
        for (uint32_t k = 0; k < 4; ++k) {
          const float size = float_of(four.word[k] & 0x7fffffffU);
          most = size > most ? size : most;
        }
      }
    }
    const float inverse = scaled_by(next.format, warp_most(most), sample, s);
    for (uint32_t begin = lane() * 4; begin < inputs; begin += kAtOnce * 128) {
      AUSPEX_UNROLL()
      for (uint32_t i = 0; i < kAtOnce; ++i) {
        const uint32_t column = begin + i * 128;  // [0, inputs)
        if (column >= inputs) continue;
        float value[4] = {};
        if (column < columns) {
          const Words four = read(reinterpret_cast<const Words*>(y + column));
          AUSPEX_UNROLL()
          for (uint32_t k = 0; k < 4; ++k) value[k] = float_of(four.word[k]);
        }
        uint32_t word[4];
        to_input(next.format, value, inverse, word);
        auto* const to = reinterpret_cast<uint32_t*>(x + column * element_bytes(next.format));
        AUSPEX_UNROLL()
        for (uint32_t k = 0; k < 4; ++k) {
          if (k < element_bytes(next.format)) to[k] = word[k];
        }
      }
    }
  }
}

template <uint32_t kTile, uint32_t kPasses>
AUSPEX_DEVICE void tile_body(const TileParams& p, char* shared) {
  // Shapes: jobs [count] -> output [count][outputs]; block in [0, count / kTile rounded up)
  const TileShared s = tile_shared<kTile>(shared, p);
  const uint32_t first = block() * kTile;  // [0, count)
  const uint32_t there = p.count - first < kTile ? p.count - first : kTile;
  constexpr uint32_t kJobWords = sizeof(Job) / sizeof(uint32_t);
  const auto* const from = reinterpret_cast<const uint32_t*>(p.jobs + first);
  for (uint32_t i = thread(); i < kTile * kJobWords; i += kThreads) {
    reinterpret_cast<uint32_t*>(s.jobs)[i] = i < there * kJobWords ? from[i] : 0;
  }
  for (uint32_t i = thread(); i < kTile; i += kThreads) s.lost[i] = 0;
  sync_threads();
  gather_tile<kTile, kPasses>(p, s);
  sync_threads();
  for (uint32_t i = 0; i < p.layers; ++i) {
    run_layer<kTile>(p.layer[i], p, s);
    sync_threads();
    if (i + 1 == p.layers) break;
    hand_over<kTile>(p.layer[i].columns, p.layer[i + 1], p, s);
    sync_threads();
  }
  for (uint32_t i = thread(); i < there * p.outputs; i += kThreads) {
    const uint32_t sample = i / p.outputs, column = i % p.outputs;
    p.output[size_t{first} * p.outputs + i] =
        s.lost[sample] ? not_a_number() : s.y[sample * p.y_stride + column];
  }
}

}  // namespace auspex::cuda
