// SPDX-License-Identifier: Apache-2.0
// The whole network for many samples, in one launch: a block takes a tile of them through all
// layers. Only indices come in and only outputs go out; activations stay in shared memory.
#pragma once

#include "kernels/cuda/elements.h"

namespace auspex::cuda {

inline constexpr float kInputSteps = 255;
inline constexpr float kLeastScaled =
    1e-30F;  // a sample whose largest value is not above it: zeroes

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

// Four values, as a layer of that format reads them. inverse: of integers, steps over value.
AUSPEX_DEVICE void to_input(Format format, const float* v, float inverse, uint32_t (&word)[4]) {
  if (is_integer(format)) {
    word[0] = 0;
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < 4; ++k) word[0] |= rounded_up_to_255(v[k] * inverse) << (8 * k);
  } else if (format == Format::kBf16) {
    word[0] = bf16_of(v[0]) | bf16_of(v[1]) << 16;
    word[1] = bf16_of(v[2]) | bf16_of(v[3]) << 16;
  } else if (format == Format::kFp16) {
    word[0] = half_of(v[0]) | static_cast<uint32_t>(half_of(v[1])) << 16;
    word[1] = half_of(v[2]) | static_cast<uint32_t>(half_of(v[3])) << 16;
  } else {
    const bool tf32 = format == Format::kTf32;
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < 4; ++k) word[k] = tf32 ? tf32_of(v[k]) : bits_of(v[k]);
  }
}

// 16 values to where a sample's input has column `column`, a multiple of 16.
AUSPEX_DEVICE void store_input(Format format, const float (&value)[16], float inverse, char* x,
                               uint32_t column) {
  uint32_t word[4][4];
  AUSPEX_UNROLL()
  for (uint32_t i = 0; i < 4; ++i) to_input(format, value + 4 * i, inverse, word[i]);
  auto* const to = reinterpret_cast<Words*>(x + column * element_bytes(format));
  if (is_integer(format)) {
    write(to, {{word[0][0], word[1][0], word[2][0], word[3][0]}});
  } else if (element_bytes(format) == 2) {
    write(to, {{word[0][0], word[0][1], word[1][0], word[1][1]}});
    write(to + 1, {{word[2][0], word[2][1], word[3][0], word[3][1]}});
  } else {
    AUSPEX_UNROLL()
    for (uint32_t i = 0; i < 4; ++i) {
      write(to + i, {{word[i][0], word[i][1], word[i][2], word[i][3]}});
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

// The sum of a job's one-hot rows in 16 columns.
template <Format kFormat>
struct RowSum {
  float sum[16] = {};
  AUSPEX_DEVICE void add(const Elements<kFormat, 16>& row) {
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < 16; ++k) sum[k] += row.at(k);
  }
  AUSPEX_DEVICE float at(uint32_t k, uint32_t) const { return sum[k]; }
};
// Sums of whole words, and of their odd bytes, two in a word: the even ones are what is left. Each
// byte has 128 added.
template <>
struct RowSum<Format::kInt8> {
  uint32_t all[4] = {}, odd[4] = {};
  AUSPEX_DEVICE void add(const Elements<Format::kInt8, 16>& row) {
    AUSPEX_UNROLL()
    for (uint32_t i = 0; i < 4; ++i) {
      all[i] += row.word[i];
      odd[i] += odd_bytes(row.word[i]);
    }
  }
  AUSPEX_DEVICE float at(uint32_t k, uint32_t rows) const {
    const uint32_t pair = k % 2 == 0 ? all[k / 4] - (odd[k / 4] << 8) : odd[k / 4];
    const uint32_t whole = k % 4 < 2 ? pair & 0xffff : pair >> 16;
    return static_cast<float>(static_cast<int32_t>(whole) - static_cast<int32_t>(128 * rows));
  }
};

// 16 columns of a sample, before ReLU. scale: of INT8.
template <Format kFormat>
AUSPEX_DEVICE void sum_rows(const InputLayer& input, const Job& job, uint32_t column,
                            const Elements<Format::kFp32, 16>& scale,
                            const Elements<Format::kFp32, 16>& bias, float (&value)[16]) {
  constexpr uint32_t kTogether = kFormat == Format::kInt8 ? kMostRows : kMostRows / 2;
  RowSum<kFormat> rows;
  for (uint32_t begin = 0; begin < kMostRows; begin += kTogether) {
    Elements<kFormat, 16> row[kTogether];
    AUSPEX_UNROLL()
    for (uint32_t i = 0; i < kTogether; ++i) {
      row[i] = {};
      if (begin + i < job.row_count) {
        row[i].ask(one_hot_row<kFormat>(input, job.rows[begin + i], column));
      }
    }
    AUSPEX_UNROLL()
    for (uint32_t i = 0; i < kTogether; ++i) rows.add(row[i]);
  }
  AUSPEX_UNROLL()
  for (uint32_t k = 0; k < 16; ++k) {
    const float sum = rows.at(k, job.row_count);
    value[k] = (kFormat == Format::kInt8 ? sum * scale.at(k) : sum) + bias.at(k);
  }
  AUSPEX_UNROLL(3)
  for (uint32_t i = 0; i < kNumbers; ++i) {
    Elements<number_format(kFormat), 16> row;
    row.ask(number_row<kFormat>(input, i, column));
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < 16; ++k) value[k] += job.numbers[i] * row.at(k);
  }
}

// A warp for each sample, 16 columns a lane and pass. s.jobs -> s.x
template <uint32_t kTile, uint32_t kPasses, Format kFormat>
AUSPEX_DEVICE void gather_tile(const TileParams& p, const TileShared& s) {
  constexpr uint32_t kPass = 32 * 16;
  const InputLayer& input = p.input;
  const TileLayer& next = p.layer[0];
  const uint32_t inputs = next.steps * kStepBytes / element_bytes(next.format);
  Elements<Format::kFp32, 16> scale = {}, bias = {};
  const auto ask_columns = [&](uint32_t column) {
    bias.ask(reinterpret_cast<const char*>(input.bias + column));
    if (kFormat == Format::kInt8) scale.ask(reinterpret_cast<const char*>(input.scale + column));
  };
  // Of one pass they stay in registers.
  if (kPasses == 1 && lane() * 16 < input.width) ask_columns(lane() * 16);
  for (uint32_t sample = warp(); sample < kTile; sample += kWarps) {
    float value[kPasses][16] = {};
    float most = 0;
    AUSPEX_UNROLL()
    for (uint32_t pass = 0; pass < kPasses; ++pass) {
      const uint32_t column = pass * kPass + lane() * 16;  // [0, width)
      if (column >= input.width) continue;
      if (kPasses > 1) ask_columns(column);
      sum_rows<kFormat>(input, s.jobs[sample], column, scale, bias, value[pass]);
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
    AUSPEX_UNROLL()
    for (uint32_t pass = 0; pass < kPasses; ++pass) {
      const uint32_t column = pass * kPass + lane() * 16;  // [0, inputs)
      if (column >= inputs) continue;
      store_input(next.format, value[pass], inverse, s.x + size_t{sample} * p.x_stride, column);
    }
  }
}

template <uint32_t kTile, uint32_t kPasses>
AUSPEX_DEVICE void gather_tile(const TileParams& p, const TileShared& s) {
  switch (p.input.format) {
    case Format::kInt8:
      return gather_tile<kTile, kPasses, Format::kInt8>(p, s);
    case Format::kBf16:
      return gather_tile<kTile, kPasses, Format::kBf16>(p, s);
    case Format::kFp16:
      return gather_tile<kTile, kPasses, Format::kFp16>(p, s);
    default:
      return gather_tile<kTile, kPasses, Format::kFp32>(p, s);
  }
}

}  // namespace auspex::cuda
