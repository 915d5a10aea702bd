// SPDX-License-Identifier: Apache-2.0
// INT8 with 2:4 on AVX-512 with VNNI: the activations are shuffled to where the weights are, which
// are five eighths of the bytes of all.
#include "kernels/vnni.h"

namespace auspex {
namespace {

constexpr uint32_t kTileRows = 32;
constexpr uint32_t kSteps = 4;                               // of eight rows
constexpr uint32_t kTileBytes = kTileRows / 4 * kPairBytes;  // of 16 columns

inline __m512i eight_bytes(const void* from) {
  int64_t eight;
  __builtin_memcpy(&eight, from, sizeof(eight));
  return _mm512_set1_epi64(eight);
}

// where: [64] two bits for each of four steps -> the places of a step's weights in its eight rows
template <int kStep>
inline __m512i places(__m512i where) {
  const __m512i second_four = _mm512_set1_epi32(0x04040000);
  // (where >> 2 kStep & 3) | second_four
  return _mm512_ternarylogic_epi32(_mm512_srli_epi16(where, 2 * kStep), _mm512_set1_epi8(3),
                                   second_four, 0xEA);
}

// kSamples * 64 columns; q: [kSamples][inputs]; tile: [inputs / 32][4][5][64]
template <int kSamples>
inline void dense_tile(const Int8Layer& layer, const int8_t* tile, const uint8_t* q,
                       const float* scale, uint32_t j, float* y) {
  __m512i sum[kSamples][4];
#pragma GCC unroll 8
  for (auto& sample : sum) {
#pragma GCC unroll 8
    for (__m512i& columns : sample) columns = _mm512_setzero_si512();
  }
  for (uint32_t i = 0; i < layer.inputs; i += kTileRows) {
#pragma GCC unroll 8
    for (int c = 0; c < 4; ++c, tile += kTileBytes) {
      const __m512i where = _mm512_loadu_si512(tile);
      const __m512i place[kSteps] = {places<0>(where), places<1>(where), places<2>(where),
                                     places<3>(where)};
#pragma GCC unroll 8
      for (uint32_t t = 0; t < kSteps; ++t) {
        const __m512i weights = _mm512_loadu_si512(tile + 64 + 64 * t);
#pragma GCC unroll 8
        for (int s = 0; s < kSamples; ++s) {
          const __m512i bytes = eight_bytes(q + static_cast<size_t>(s) * layer.inputs + i + 8 * t);
          add_products(sum[s][c], _mm512_shuffle_epi8(bytes, place[t]), weights);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int s = 0; s < kSamples; ++s) {
#pragma GCC unroll 8
    for (uint32_t c = 0; c < 4; ++c) {
      finish(layer, j + 16 * c, sum[s][c], scale[s], y + static_cast<size_t>(s) * layer.width);
    }
  }
}

}  // namespace

// q: [samples][inputs] -> y [samples][width]
void vnni_pairs_dense(const Int8Layer& layer, const uint8_t* q, const float* scale,
                      uint32_t samples, float* y) {
  constexpr uint32_t kAtOnce = 4;
  for (uint32_t j = 0; j < layer.width; j += 64) {  // [0, width)
    const int8_t* tile = layer.tiles + size_t{j} / 64 * layer.inputs * kPairBytes;
    uint32_t s = 0;  // [0, samples)
    const auto from = [&](uint32_t sample) { return q + size_t{sample} * layer.inputs; };
    const auto to = [&](uint32_t sample) { return y + size_t{sample} * layer.width; };
    for (; s + kAtOnce <= samples; s += kAtOnce) {
      dense_tile<kAtOnce>(layer, tile, from(s), scale + s, j, to(s));
    }
    for (; s < samples; ++s) dense_tile<1>(layer, tile, from(s), scale + s, j, to(s));
  }
}

}  // namespace auspex
