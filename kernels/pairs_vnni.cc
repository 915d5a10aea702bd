// SPDX-License-Identifier: Apache-2.0
// INT8 with 2:4 on AVX-512 with VNNI: the activations are shuffled to where the weights are, which
// are three quarters of the bytes of all.
#include "kernels/vnni.h"

namespace auspex {
namespace {

constexpr uint32_t kTileRows = 16;
constexpr uint32_t kTileBytes = kTileRows / 4 * kPairBytes;  // of 16 columns

inline __m512i eight_bytes(const void* from) {
  int64_t eight;
  __builtin_memcpy(&eight, from, sizeof(eight));
  return _mm512_set1_epi64(eight);
}

// kSamples, kBlocks * 64 columns; q: [kSamples][inputs]
template <uint32_t kSamples, uint32_t kBlocks>
inline void dense_tile(const Int8Layer& layer, const uint8_t* q, const float* scale, uint32_t j,
                       float* y) {
  __m512i sum[kSamples * kBlocks * 4];
  clear(sum);
  const size_t block = size_t{layer.inputs} * kPairBytes;
  const int8_t* tile = layer.tiles + j / 64 * block;
  for (uint32_t i = 0; i < layer.inputs; i += kTileRows, tile += 4 * kTileBytes) {
#pragma GCC unroll 4
    for (uint32_t b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 4
      for (uint32_t c = 0; c < 4; ++c) {
        const int8_t* at = tile + b * block + c * kTileBytes;
        // A shuffle looks at four bits of each byte, and eight bytes are there twice.
        const __m512i first = _mm512_loadu_si512(at), next = _mm512_srli_epi16(first, 4);
#pragma GCC unroll 8
        for (uint32_t s = 0; s < kSamples; ++s) {
          const uint8_t* rows = q + size_t{s} * layer.inputs + i;
          __m512i& to = sum[(s * kBlocks + b) * 4 + c];
          add_products(to, _mm512_shuffle_epi8(eight_bytes(rows), first),
                       _mm512_loadu_si512(at + 64));
          add_products(to, _mm512_shuffle_epi8(eight_bytes(rows + 8), next),
                       _mm512_loadu_si512(at + 128));
        }
      }
    }
  }
#pragma GCC unroll 8
  for (uint32_t s = 0; s < kSamples; ++s) {
#pragma GCC unroll 16
    for (uint32_t c = 0; c < 4 * kBlocks; ++c) {
      finish(layer, j + 16 * c, sum[s * kBlocks * 4 + c], scale[s], y + size_t{s} * layer.width);
    }
  }
}

}  // namespace

// q: [samples][inputs] -> y [samples][width]
void vnni_pairs_dense(const Int8Layer& layer, const uint8_t* q, const float* scale,
                      uint32_t samples, float* y) {
  constexpr uint32_t kAtOnce = 5;
  const auto from = [&](uint32_t sample) { return q + size_t{sample} * layer.inputs; };
  const auto to = [&](uint32_t sample) { return y + size_t{sample} * layer.width; };
  const uint32_t tiled = samples / kAtOnce * kAtOnce;
  for (uint32_t j = 0; j < layer.width; j += 64) {  // [0, width)
    for (uint32_t s = 0; s < tiled; s += kAtOnce) {
      dense_tile<kAtOnce, 1>(layer, from(s), scale + s, j, to(s));
    }
  }
  for (uint32_t s = tiled; s < samples; ++s) {
    uint32_t j = 0;  // [0, width)
    const auto one = [&](auto blocks) {
      for (; j + 64 * blocks <= layer.width; j += 64 * blocks) {
        dense_tile<1, blocks>(layer, from(s), scale + s, j, to(s));
      }
    };
    one(Blocks<4>{});
    one(Blocks<2>{});
    one(Blocks<1>{});
  }
}

}  // namespace auspex
