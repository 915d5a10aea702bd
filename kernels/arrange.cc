// SPDX-License-Identifier: Apache-2.0
#include "kernels/arrange.h"

#include "kernels/int8_functions.h"

namespace auspex {
namespace {

template <class Put>
void for_each(const RoundedWeights& weights, const Put& put) {
  for (uint32_t i = 0; i < weights.rows; ++i) {
    for (uint32_t j = 0; j < weights.columns; ++j) {
      put(i, j, weights.values[size_t{i} * weights.columns + j]);
    }
  }
}

// Zeros in both halves of each byte.
constexpr auto kNoNibbles = static_cast<int8_t>(kInt4Zero << 4 | kInt4Zero);

// Halves a byte's own: the high one for what lies `high`.
void put_nibble(int8_t& byte, bool high, int8_t weight) {
  const int shift = high ? 4 : 0;
  const int kept = byte & ~(0xF << shift);
  byte = static_cast<int8_t>(kept | (weight + kInt4Zero) << shift);
}

}  // namespace

Packed<int8_t> int8_rows(const RoundedWeights& weights, uint32_t inputs, uint32_t width) {
  Packed<int8_t> rows(size_t{inputs} * width);
  for_each(weights,
           [&](size_t i, uint32_t j, int8_t weight) { rows[i * width + row_place(j)] = weight; });
  return rows;
}

Packed<int8_t> int8_tiles(const RoundedWeights& weights, uint32_t inputs, uint32_t width) {
  Packed<int8_t> tiles(size_t{inputs} * width);
  for_each(weights, [&](size_t i, uint32_t j, int8_t weight) {
    tiles[size_t{j} / 64 * 64 * inputs + i / 4 * 256 + j % 64 * 4 + i % 4] = weight;
  });
  return tiles;
}

Packed<int8_t> int4_rows(const RoundedWeights& weights, uint32_t inputs, uint32_t width) {
  Packed<int8_t> rows(size_t{inputs} * width / 2, kNoNibbles);
  for_each(weights, [&](size_t i, uint32_t j, int8_t weight) {
    const size_t at = i * (width / 2) + j / 128 * 64 + row_place(j % 64);
    put_nibble(rows[at], j % 128 >= 64, weight);
  });
  return rows;
}

Packed<int8_t> int4_tiles(const RoundedWeights& weights, uint32_t inputs, uint32_t width) {
  Packed<int8_t> tiles(size_t{inputs} * width / 2, kNoNibbles);
  for_each(weights, [&](size_t i, uint32_t j, int8_t weight) {
    const size_t tile = size_t{j} / 64 * 32 * inputs + i / 4 * 128 + j % 64 / 32 * 64;
    put_nibble(tiles[tile + j % 16 * 4 + i % 4], j % 32 >= 16, weight);
  });
  return tiles;
}

Packed<int8_t> pair_tiles(const RoundedWeights& weights, uint32_t inputs, uint32_t width) {
  Packed<int8_t> tiles(size_t{inputs} * width / 64 * kPairBytes);
  for (uint32_t j = 0; j < weights.columns; ++j) {
    for (uint32_t group = 0; group < weights.rows; group += 4) {
      const uint32_t step = group / 8 % 2;  // of the 16 rows of a tile
      int8_t* tile = tiles.data() +
                     (size_t{j} / 64 * (inputs / 16) + group / 16) * (16 * kPairBytes) +
                     j % 64 / 16 * (4 * kPairBytes);
      uint32_t slot = j % 16 * 4 + group / 4 % 2 * 2;
      for (uint32_t i = group; i < std::min(group + 4, weights.rows); ++i) {
        const int8_t weight = weights.values[size_t{i} * weights.columns + j];
        if (weight == 0) continue;
        tile[slot] = static_cast<int8_t>(tile[slot] | (i % 8) << (4 * step));
        tile[64 + 64 * step + slot] = weight;
        ++slot;
      }
    }
  }
  return tiles;
}

}  // namespace auspex
