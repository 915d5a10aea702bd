// SPDX-License-Identifier: Apache-2.0
// INT8 on AVX-512 with VNNI: vpdpbusd adds four products of bytes to each of sixteen sums.
#include "kernels/vnni.h"

namespace auspex {
namespace {

// kBlocks * 64 columns from `first` on, over the active rows, four at a time.
template <int kBlocks>
inline void add_active(const Int8Layer& layer, const uint32_t* place, const uint8_t* value,
                       uint32_t count, float scale, uint32_t first, float* y) {
  __m512i sum[4 * kBlocks];
  clear(sum);
  const int8_t* rows = layer.rows + first;
  for (uint32_t k = 0; k < count; k += kInt8Rows) {
    const __m512i bytes = four_bytes(value + k);
    const int8_t* row[kInt8Rows];
#pragma GCC unroll 8
    for (uint32_t i = 0; i < kInt8Rows; ++i) row[i] = rows + size_t{place[k + i]} * layer.width;
#pragma GCC unroll 8
    for (int b = 0; b < kBlocks; ++b) {
      const Interleaved four(row, 64 * b);
#pragma GCC unroll 8
      for (int c = 0; c < 4; ++c) add_products(sum[4 * b + c], bytes, four.columns[c]);
    }
  }
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 8
    for (int c = 0; c < 4; ++c) {
      finish(layer, first + static_cast<uint32_t>(64 * b + 16 * c), sum[4 * b + c], scale, y);
    }
  }
}

// q: [inputs] -> y [width]
void sparse(const Int8Layer& layer, const uint8_t* q, float scale, void* work, float* y) {
  auto* place = static_cast<uint32_t*>(work);  // Shape: [inputs + 16]
  auto* value = reinterpret_cast<uint8_t*>(place + layer.inputs + 16);
  const uint32_t count = find_active(q, layer.inputs, place, value);
  uint32_t j = 0;
  for (; j + 256 <= layer.width; j += 256) add_active<4>(layer, place, value, count, scale, j, y);
  for (; j < layer.width; j += 64) add_active<1>(layer, place, value, count, scale, j, y);
}

// kSamples * 64 columns; q: [kSamples][inputs]; tile: [inputs / 4][64][4]
template <int kSamples>
inline void dense_tile(const Int8Layer& layer, const int8_t* tile, const uint8_t* q,
                       const float* scale, uint32_t j, float* y) {
  __m512i sum[4 * kSamples];
  clear(sum);
  for (uint32_t i = 0; i < layer.inputs; i += 4, tile += 256) {
    const __m512i w0 = _mm512_loadu_si512(tile), w1 = _mm512_loadu_si512(tile + 64);
    const __m512i w2 = _mm512_loadu_si512(tile + 128), w3 = _mm512_loadu_si512(tile + 192);
#pragma GCC unroll 8
    for (int s = 0; s < kSamples; ++s) {
      const __m512i bytes = four_bytes(q + static_cast<size_t>(s) * layer.inputs + i);
      add_products(sum[4 * s + 0], bytes, w0);
      add_products(sum[4 * s + 1], bytes, w1);
      add_products(sum[4 * s + 2], bytes, w2);
      add_products(sum[4 * s + 3], bytes, w3);
    }
  }
#pragma GCC unroll 8
  for (int s = 0; s < kSamples; ++s) {
#pragma GCC unroll 8
    for (int c = 0; c < 4; ++c) {
      finish(layer, j + 16 * static_cast<uint32_t>(c), sum[4 * s + c], scale[s],
             y + static_cast<size_t>(s) * layer.width);
    }
  }
}

// One sample, kBlocks * 64 columns: so many sums that none waits for the one before.
template <uint32_t kBlocks>
inline void dense_one(const Int8Layer& layer, const uint8_t* q, float scale, uint32_t j, float* y) {
  __m512i sum[4 * kBlocks];
  clear(sum);
  const size_t block = size_t{64} * layer.inputs;
  const int8_t* tile = layer.tiles + size_t{j} * layer.inputs;
  for (uint32_t i = 0; i < layer.inputs; i += 4, tile += 256) {
    const __m512i bytes = four_bytes(q + i);
#pragma GCC unroll 8
    for (uint32_t b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 8
      for (uint32_t c = 0; c < 4; ++c) {
        add_products(sum[4 * b + c], bytes, _mm512_loadu_si512(tile + b * block + 64 * c));
      }
    }
  }
#pragma GCC unroll 16
  for (uint32_t c = 0; c < 4 * kBlocks; ++c) finish(layer, j + 16 * c, sum[c], scale, y);
}

// q: [samples][inputs] -> y [samples][width]
void dense(const Int8Layer& layer, const uint8_t* q, const float* scale, uint32_t samples,
           float* y) {
  constexpr uint32_t kTile = 6;
  const auto from = [&](uint32_t sample) { return q + size_t{sample} * layer.inputs; };
  const auto to = [&](uint32_t sample) { return y + size_t{sample} * layer.width; };
  const uint32_t tiled = samples / kTile * kTile, paired = samples / 2 * 2;
  for (uint32_t j = 0; j < layer.width; j += 64) {  // [0, width)
    const int8_t* tile = layer.tiles + size_t{j} * layer.inputs;
    for (uint32_t s = 0; s < tiled; s += kTile) {
      dense_tile<kTile>(layer, tile, from(s), scale + s, j, to(s));
    }
    for (uint32_t s = tiled; s < paired; s += 2) {
      dense_tile<2>(layer, tile, from(s), scale + s, j, to(s));
    }
  }
  if (paired == samples) return;
  uint32_t j = 0;  // [0, width)
  const auto one = [&](auto blocks) {
    for (; j + 64 * blocks <= layer.width; j += 64 * blocks) {
      dense_one<blocks>(layer, from(paired), scale[paired], j, to(paired));
    }
  };
  one(Blocks<4>{});
  one(Blocks<2>{});
  one(Blocks<1>{});
}

// rows: [count] pointers to [width], count at most kMostGathered -> y [width]
void gather(const int8_t* const* rows, uint32_t count, const float* scales, const float* bias,
            uint32_t width, float* y) {
  for (uint32_t j = 0; j < width; j += 64) {  // [0, width)
    __m512i low = _mm512_setzero_si512(), high = low;
    for (uint32_t k = 0; k < count; ++k) {
      const auto* row = reinterpret_cast<const __m256i*>(rows[k] + j);
      low = _mm512_add_epi16(low, _mm512_cvtepi8_epi16(_mm256_loadu_si256(row)));
      high = _mm512_add_epi16(high, _mm512_cvtepi8_epi16(_mm256_loadu_si256(row + 1)));
    }
    const __m256i quarter[4] = {_mm512_castsi512_si256(low), _mm512_extracti64x4_epi64(low, 1),
                                _mm512_castsi512_si256(high), _mm512_extracti64x4_epi64(high, 1)};
#pragma GCC unroll 8
    for (uint32_t c = 0; c < 4; ++c) {
      const __m512 sum = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(quarter[c]));
      const uint32_t at = j + 16 * c;
      _mm512_storeu_ps(
          y + at, _mm512_fmadd_ps(sum, _mm512_loadu_ps(scales + at), _mm512_loadu_ps(bias + at)));
    }
  }
}

}  // namespace

const Int8Functions kInt8Vnni = {quantize, sparse,           dense,           true,
                                 gather,   vnni_int4_sparse, vnni_int4_dense, vnni_pairs_dense};

}  // namespace auspex
