// SPDX-License-Identifier: Apache-2.0
// The whole network for many samples, in one launch: a block takes a tile of them through all layers.
// Only indices come in and only outputs go out; activations stay in shared memory.
#pragma once

#include "kernels/cuda/elements.h"

namespace auspex::cuda {

inline constexpr float kInputSteps = 255;
inline constexpr float kLeastScaled = 1e-30F;  // a sample whose largest value is not above it: zeroes

struct TileShared {
  char* x;         // Shape: [tile][x_stride]: inputs, in the format of the layer that reads them
  float* y;        // Shape: [tile][y_stride]: outputs
  Job* jobs;       // Shape: [tile]
  float* scale;    // Shape: [tile], of x where it is integers
  uint32_t* lost;  // Shape: [tile]: a value went beyond the range of a float
};

template <uint32_t kTile>
AUSPEX_DEVICE TileShared tile_shared(char* memory, const TileParams& p) {
  TileShared s;
  s.x = memory;
  s.y = reinterpret_cast<float*>(s.x + size_t{kTile} * p.x_stride);
  s.jobs = reinterpret_cast<Job*>(s.y + kTile * p.y_stride);
  s.scale = reinterpret_cast<float*>(s.jobs + kTile);
  s.lost = reinterpret_cast<uint32_t*>(s.scale + kTile);
  return s;
}

// Largest of a warp's values.
AUSPEX_DEVICE float warp_most(float value) {
  for (uint32_t mask = 16; mask > 0; mask /= 2) {
    const float other = shuffle_xor(value, mask);
    value = other > value ? other : value;
  }
  return value;
}

// kCount values, a multiple of four, as a layer of that format reads them. inverse: of integers,
// steps over value.
template <uint32_t kCount>
AUSPEX_DEVICE void store_input(Format format, const float* value, float inverse, char* to) {
  auto* const words = reinterpret_cast<uint32_t*>(to);
  AUSPEX_UNROLL()
  for (uint32_t i = 0; i < kCount; i += 4) {
    const float* const v = value + i;
    if (is_integer(format)) {
      uint32_t word = 0;
      AUSPEX_UNROLL()
      for (uint32_t k = 0; k < 4; ++k) word |= rounded_up_to_255(v[k] * inverse) << (8 * k);
      words[i / 4] = word;
    } else if (format == Format::kBf16) {
      words[i / 2] = bf16_of(v[0]) | bf16_of(v[1]) << 16;
      words[i / 2 + 1] = bf16_of(v[2]) | bf16_of(v[3]) << 16;
    } else if (format == Format::kFp16) {
      words[i / 2] = half_of(v[0]) | static_cast<uint32_t>(half_of(v[1])) << 16;
      words[i / 2 + 1] = half_of(v[2]) | static_cast<uint32_t>(half_of(v[3])) << 16;
    } else {
      const bool tf32 = format == Format::kTf32;
      AUSPEX_UNROLL()
      for (uint32_t k = 0; k < 4; ++k) words[i + k] = tf32 ? tf32_of(v[k]) : bits_of(v[k]);
    }
  }
}

// Of a sample's largest value: what its inputs are multiplied with. In every lane.
AUSPEX_DEVICE float scaled_by(Format format, float most, uint32_t sample, const TileShared& s) {
  // FP16 ends at 65504.
  const bool lost = !is_finite(most) || (format == Format::kFp16 && most > 65504.0F);
  if (lane() == 0) {
    s.scale[sample] = most / kInputSteps;
    if (lost) s.lost[sample] = 1;
  }
  return !lost && most > kLeastScaled ? kInputSteps / most : 0;
}

// The sum of one-hot rows in 16 columns.
template <Format kFormat>
struct RowSum {
  float sum[16] = {};
  AUSPEX_DEVICE void add(const char* row) { add_elements<16>(kFormat, row, nullptr, sum); }
  AUSPEX_DEVICE void take(const InputLayer&, uint32_t, uint32_t, float (&value)[16]) const {
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < 16; ++k) value[k] = sum[k];
  }
};
// Two sums of bytes in a word: those at even places, then those at odd ones, 128 too much each.
template <>
struct RowSum<Format::kInt8> {
  uint32_t even[4] = {}, odd[4] = {};
  AUSPEX_DEVICE void add(const char* row) {
    const Words bytes = fetch(reinterpret_cast<const Words*>(row));
    AUSPEX_UNROLL()
    for (uint32_t i = 0; i < 4; ++i) {
      const uint32_t word = bytes.word[i] ^ 0x80808080U;
      even[i] += word & 0x00ff00ffU;
      odd[i] += word >> 8 & 0x00ff00ffU;
    }
  }
  AUSPEX_DEVICE void take(const InputLayer& input, uint32_t rows, uint32_t column,
                          float (&value)[16]) const {
    float scale[16] = {};
    add_elements<16>(Format::kFp32, reinterpret_cast<const char*>(input.scale + column), nullptr,
                     scale);
    const auto too_much = static_cast<int32_t>(128 * rows);
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < 16; ++k) {
      const uint32_t pair = k % 2 == 0 ? even[k / 4] : odd[k / 4];
      const uint32_t whole = k % 4 < 2 ? pair & 0xffff : pair >> 16;
      value[k] = static_cast<float>(static_cast<int32_t>(whole) - too_much) * scale[k];
    }
  }
};

// A warp for each sample, 16 columns a lane and pass. s.jobs -> s.x
template <uint32_t kTile, Format kFormat>
AUSPEX_DEVICE void gather_tile(const TileParams& p, const TileShared& s) {
  constexpr uint32_t kPass = 32 * 16, kPasses = kInputMost / kPass;
  const InputLayer& input = p.network.input;
  const TileLayer& next = p.network.tile[0];
  const uint32_t inputs = next.steps * kStepBytes / element_bytes(next.format);
  for (uint32_t sample = warp(); sample < kTile; sample += kWarps) {
    const Job& job = s.jobs[sample];
    float value[kPasses][16];
    float most = 0;
    AUSPEX_UNROLL()
    for (uint32_t pass = 0; pass < kPasses; ++pass) {
      const uint32_t column = pass * kPass + lane() * 16;  // [0, width)
      if (column >= input.width) continue;
      RowSum<kFormat> rows;
      AUSPEX_UNROLL(7)
      for (uint32_t i = 0; i < job.row_count; ++i) rows.add(one_hot_row(input, job.rows[i], column));
      rows.take(input, job.row_count, column, value[pass]);
      add_elements<16>(Format::kFp32, reinterpret_cast<const char*>(input.bias + column), nullptr,
                       value[pass]);
      AUSPEX_UNROLL(2)
      for (uint32_t i = 0; i < kNumbers; ++i) {
        float row[16] = {};
        add_elements<16>(number_format(kFormat), number_row(input, i, column), nullptr, row);
        AUSPEX_UNROLL()
        for (uint32_t k = 0; k < 16; ++k) value[pass][k] += job.numbers[i] * row[k];
      }
      AUSPEX_UNROLL()
      for (uint32_t k = 0; k < 16; ++k) {
        float& v = value[pass][k];
        if (!is_finite(v)) most = float_of(0x7f800000U);
        if (input.relu) v = positive(v);
        const float size = v < 0 ? -v : v;
        most = size > most ? size : most;
      }
    }
    const float inverse = scaled_by(next.format, warp_most(most), sample, s);
    char* const x = s.x + size_t{sample} * p.x_stride;
    AUSPEX_UNROLL()
    for (uint32_t pass = 0; pass < kPasses; ++pass) {
      const uint32_t column = pass * kPass + lane() * 16;  // [0, inputs)
      if (column >= inputs) continue;
      if (column >= input.width) {
        AUSPEX_UNROLL()
        for (uint32_t k = 0; k < 16; ++k) value[pass][k] = 0;
      }
      store_input<16>(next.format, value[pass], inverse, x + column * element_bytes(next.format));
    }
  }
}

template <uint32_t kTile>
AUSPEX_DEVICE void gather_tile(const TileParams& p, const TileShared& s) {
  switch (p.network.input.format) {
    case Format::kInt8:
      return gather_tile<kTile, Format::kInt8>(p, s);
    case Format::kBf16:
      return gather_tile<kTile, Format::kBf16>(p, s);
    case Format::kFp16:
      return gather_tile<kTile, Format::kFp16>(p, s);
    default:
      return gather_tile<kTile, Format::kFp32>(p, s);
  }
}

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

// One output, on its way to y.
AUSPEX_DEVICE void finish(const TileLayer& layer, const TileParams& p, const TileShared& s,
                          uint32_t sample, uint32_t column, float sum) {
  if (is_integer(layer.format)) sum *= s.scale[sample] * fetch(layer.scale + column);
  sum += fetch(layer.bias + column);
  if (!is_finite(sum)) s.lost[sample] = 1;
  s.y[sample * p.y_stride + column] = layer.relu ? positive(sum) : sum;
}

// A warp's: columns [column, column + 32) of samples [sample, sample + 8 kSamples).
template <Format kFormat, uint32_t kSamples>
AUSPEX_DEVICE void multiply_tile(const TileLayer& layer, const TileParams& p, const TileShared& s,
                                 uint32_t column, uint32_t sample) {
  constexpr uint32_t kFragments = step_fragments(kFormat);
  typename Sum<kFormat>::type sum[2][kSamples][4] = {};
  const Words* const x = reinterpret_cast<const Words*>(
      s.x + size_t{sample + lane() / 4} * p.x_stride + lane() % 4 * sizeof(Words));
  const uint32_t x_words = p.x_stride / sizeof(Words);
  AUSPEX_UNROLL(2)
  for (uint32_t step = 0; step < layer.steps; ++step) {
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
    for (uint32_t i = 0; i < kSamples; ++i) {
      b[i] = read(x + i * 8 * x_words + step * (kStepBytes / sizeof(Words)));
    }
    AUSPEX_UNROLL()
    for (uint32_t j = 0; j < 2; ++j) {
      AUSPEX_UNROLL()
      for (uint32_t i = 0; i < kSamples; ++i) {
        multiply_step<kFormat>(sum[j][i], a[j], places[j], b[i]);
      }
    }
  }
  AUSPEX_UNROLL()
  for (uint32_t j = 0; j < 2; ++j) {
    AUSPEX_UNROLL()
    for (uint32_t i = 0; i < kSamples; ++i) {
      AUSPEX_UNROLL()
      for (uint32_t k = 0; k < 4; ++k) {
        finish(layer, p, s, sample + 8 * i + lane() % 4 * 2 + k % 2,
               column + 16 * j + lane() / 4 + k / 2 * 8, static_cast<float>(sum[j][i][k]));
      }
    }
  }
}

// The same without tensor cores: a lane for each column.
template <uint32_t kSamples>
AUSPEX_DEVICE void multiply_fp32(const TileLayer& layer, const TileParams& p, const TileShared& s,
                                 uint32_t column, uint32_t sample) {
  constexpr uint32_t kRows = 8 * kSamples;
  float sum[kRows] = {};
  const float* const weights = reinterpret_cast<const float*>(layer.weights) + column + lane();
  const char* const x = s.x + size_t{sample} * p.x_stride;
  const uint32_t inputs = layer.steps * (kStepBytes / sizeof(float));
  for (uint32_t i = 0; i < inputs; i += 4) {
    float weight[4];
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < 4; ++k) weight[k] = fetch(weights + size_t{i + k} * layer.columns);
    AUSPEX_UNROLL()
    for (uint32_t row = 0; row < kRows; ++row) {
      const Words four =
          read(reinterpret_cast<const Words*>(x + size_t{row} * p.x_stride + i * sizeof(float)));
      AUSPEX_UNROLL()
      for (uint32_t k = 0; k < 4; ++k) sum[row] += weight[k] * float_of(four.word[k]);
    }
  }
  for (uint32_t row = 0; row < kRows; ++row) {
    finish(layer, p, s, sample + row, column + lane(), sum[row]);
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

// s.y [tile][columns] -> s.x, as the next layer reads it; a warp for each sample.
template <uint32_t kTile>
AUSPEX_DEVICE void hand_over(uint32_t columns, const TileLayer& next, const TileParams& p,
                             const TileShared& s) {
  const uint32_t inputs = next.steps * kStepBytes / element_bytes(next.format);
  for (uint32_t sample = warp(); sample < kTile; sample += kWarps) {
    const float* const y = s.y + size_t{sample} * p.y_stride;
    float most = 0;
    for (uint32_t column = lane(); column < columns; column += 32) {
      const float size = y[column] < 0 ? -y[column] : y[column];
      most = size > most ? size : most;
    }
    const float inverse = scaled_by(next.format, warp_most(most), sample, s);
    char* const x = s.x + size_t{sample} * p.x_stride;
    for (uint32_t column = lane() * 4; column < inputs; column += 32 * 4) {  // [0, inputs)
      float value[4] = {};
      if (column < columns) {
        const Words four = read(reinterpret_cast<const Words*>(y + column));
        for (uint32_t k = 0; k < 4; ++k) value[k] = float_of(four.word[k]);
      }
      store_input<4>(next.format, value, inverse, x + column * element_bytes(next.format));
    }
  }
}

template <uint32_t kTile>
AUSPEX_DEVICE void tile_body(const TileParams& p, char* shared) {
  // Shapes: jobs [count] -> outputs [count][outputs]; block in [0, count / kTile rounded up)
  const NetworkView& network = p.network;
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
  gather_tile<kTile>(p, s);
  sync_threads();
  for (uint32_t i = 0; i < network.layers; ++i) {
    run_layer<kTile>(network.tile[i], p, s);
    sync_threads();
    if (i + 1 == network.layers) break;
    hand_over<kTile>(network.tile[i].columns, network.tile[i + 1], p, s);
    sync_threads();
  }
  for (uint32_t i = thread(); i < there * network.outputs; i += kThreads) {
    const uint32_t sample = i / network.outputs, column = i % network.outputs;
    p.outputs[size_t{first} * network.outputs + i] =
        s.lost[sample] ? not_a_number() : s.y[sample * p.y_stride + column];
  }
}

}  // namespace auspex::cuda
