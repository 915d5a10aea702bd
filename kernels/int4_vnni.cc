// SPDX-License-Identifier: Apache-2.0
// INT4 on AVX-512 with VNNI: the weights' half bytes are the unsigned side of vpdpbusd, the
// activations, of seven bits, the signed one.
#include "kernels/vnni.h"

namespace auspex {
namespace {

// whole, low: of 16 columns over whole bytes and over their low halves.
inline void add(__m512i& whole, __m512i& low, __m512i weights, __m512i bytes) {
  add_products(whole, weights, bytes);
  add_products(low, _mm512_and_si512(weights, _mm512_set1_epi8(0xF)), bytes);
}

// -> y: 16 columns from j on, and the 16 that are in the high halves. active: the sum of q.
inline void finish_both(const Int8Layer& layer, uint32_t j, uint32_t high, __m512i whole,
                        __m512i low, int32_t active, float scale, float* y) {
  const __m512i zero = _mm512_set1_epi32(kInt4Zero * active);
  finish(layer, j, _mm512_sub_epi32(low, zero), scale, y);
  const __m512i sixteenfold = _mm512_sub_epi32(whole, low);
  finish(layer, high, _mm512_sub_epi32(sixteenfold, _mm512_slli_epi32(zero, 4)), scale / 16, y);
}

// q: [inputs] -> their sum
inline int32_t sum_of(const uint8_t* q, uint32_t inputs) {
  __m512i sum = _mm512_setzero_si512();
  for (uint32_t i = 0; i < inputs; i += 64) {
    add_products(sum, _mm512_loadu_si512(q + i), _mm512_set1_epi8(1));
  }
  return _mm512_reduce_add_epi32(sum);
}

// kBlocks * 128 columns from `first` on, over the active rows, four at a time.
template <int kBlocks>
inline void add_active(const Int8Layer& layer, const uint32_t* place, const uint8_t* value,
                       uint32_t count, int32_t active, float scale, uint32_t first, float* y) {
  __m512i whole[4 * kBlocks], low[4 * kBlocks];
  clear(whole);
  clear(low);
  const uint32_t stride = layer.width / 2;
  const int8_t* rows = layer.rows + first / 2;
  for (uint32_t k = 0; k < count; k += kInt8Rows) {
    const __m512i bytes = four_bytes(value + k);
    const int8_t* row[kInt8Rows];
#pragma GCC unroll 8
    for (uint32_t i = 0; i < kInt8Rows; ++i) row[i] = rows + size_t{place[k + i]} * stride;
#pragma GCC unroll 8
    for (int b = 0; b < kBlocks; ++b) {
      const Interleaved four(row, 64 * b);
#pragma GCC unroll 8
      for (int c = 0; c < 4; ++c) add(whole[4 * b + c], low[4 * b + c], four.columns[c], bytes);
    }
  }
#pragma GCC unroll 8
  for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 8
    for (int c = 0; c < 4; ++c) {
      const auto column = first + static_cast<uint32_t>(128 * b + 16 * c);
      finish_both(layer, column, column + 64, whole[4 * b + c], low[4 * b + c], active, scale, y);
    }
  }
}

// kSamples * 64 columns; q: [kSamples][inputs]; tile: [inputs / 4][2][64]
template <int kSamples>
inline void dense_tile(const Int8Layer& layer, const int8_t* tile, const uint8_t* q,
                       const float* scale, uint32_t j, float* y) {
  __m512i whole[2 * kSamples], low[2 * kSamples];
  clear(whole);
  clear(low);
  for (uint32_t i = 0; i < layer.inputs; i += 4, tile += 128) {
    const __m512i w0 = _mm512_loadu_si512(tile), w1 = _mm512_loadu_si512(tile + 64);
    const __m512i l0 = _mm512_and_si512(w0, _mm512_set1_epi8(0xF));
    const __m512i l1 = _mm512_and_si512(w1, _mm512_set1_epi8(0xF));
#pragma GCC unroll 8
    for (int s = 0; s < kSamples; ++s) {
      const __m512i bytes = four_bytes(q + static_cast<size_t>(s) * layer.inputs + i);
      add_products(whole[2 * s], w0, bytes);
      add_products(whole[2 * s + 1], w1, bytes);
      add_products(low[2 * s], l0, bytes);
      add_products(low[2 * s + 1], l1, bytes);
    }
  }
#pragma GCC unroll 8
  for (int s = 0; s < kSamples; ++s) {
    const int32_t active = sum_of(q + static_cast<size_t>(s) * layer.inputs, layer.inputs);
    float* to = y + static_cast<size_t>(s) * layer.width;
#pragma GCC unroll 8
    for (int c = 0; c < 2; ++c) {
      const uint32_t column = j + 32 * static_cast<uint32_t>(c);
      finish_both(layer, column, column + 16, whole[2 * s + c], low[2 * s + c], active, scale[s],
                  to);
    }
  }
}

// One sample, kBlocks * 64 columns: so many sums that none waits for the one before.
template <uint32_t kBlocks>
inline void dense_one(const Int8Layer& layer, const uint8_t* q, float scale, int32_t active,
                      uint32_t j, float* y) {
  __m512i whole[2 * kBlocks], low[2 * kBlocks];
  clear(whole);
  clear(low);
  const size_t block = size_t{32} * layer.inputs;
  const int8_t* tile = layer.tiles + size_t{j} / 2 * layer.inputs;
  for (uint32_t i = 0; i < layer.inputs; i += 4, tile += 128) {
    const __m512i bytes = four_bytes(q + i);
#pragma GCC unroll 8
    for (uint32_t b = 0; b < kBlocks; ++b) {
      const int8_t* at = tile + b * block;
      add(whole[2 * b], low[2 * b], _mm512_loadu_si512(at), bytes);
      add(whole[2 * b + 1], low[2 * b + 1], _mm512_loadu_si512(at + 64), bytes);
    }
  }
#pragma GCC unroll 16
  for (uint32_t c = 0; c < 2 * kBlocks; ++c) {
    finish_both(layer, j + 32 * c, j + 32 * c + 16, whole[c], low[c], active, scale, y);
  }
}

}  // namespace

// q: [inputs] -> y [width]
void vnni_int4_sparse(const Int8Layer& layer, const uint8_t* q, float scale, void* work, float* y) {
  auto* place = static_cast<uint32_t*>(work);  // Shape: [inputs + 16]
  auto* value = reinterpret_cast<uint8_t*>(place + layer.inputs + 16);
  const uint32_t count = find_active(q, layer.inputs, place, value);
  const int32_t active = sum_of(q, layer.inputs);
  uint32_t j = 0;
  for (; j + 256 <= layer.width; j += 256) {
    add_active<2>(layer, place, value, count, active, scale, j, y);
  }
  for (; j < layer.width; j += 128) {
    add_active<1>(layer, place, value, count, active, scale, j, y);
  }
}

// q: [samples][inputs] -> y [samples][width]
void vnni_int4_dense(const Int8Layer& layer, const uint8_t* q, const float* scale, uint32_t samples,
                     float* y) {
  constexpr uint32_t kAtOnce = 5;
  const auto from = [&](uint32_t sample) { return q + size_t{sample} * layer.inputs; };
  const auto to = [&](uint32_t sample) { return y + size_t{sample} * layer.width; };
  const uint32_t tiled = samples / kAtOnce * kAtOnce, paired = tiled + (samples - tiled) / 2 * 2;
  for (uint32_t j = 0; j < layer.width; j += 64) {  // [0, width)
    const int8_t* tile = layer.tiles + size_t{j} / 2 * layer.inputs;
    for (uint32_t s = 0; s < tiled; s += kAtOnce) {
      dense_tile<kAtOnce>(layer, tile, from(s), scale + s, j, to(s));
    }
    for (uint32_t s = tiled; s < paired; s += 2) {
      dense_tile<2>(layer, tile, from(s), scale + s, j, to(s));
    }
  }
  if (paired == samples) return;
  const int32_t active = sum_of(from(paired), layer.inputs);
  uint32_t j = 0;  // [0, width), a multiple of 128
  const auto one = [&](auto blocks) {
    for (; j + 64 * blocks <= layer.width; j += 64 * blocks) {
      dense_one<blocks>(layer, from(paired), scale[paired], active, j, to(paired));
    }
  };
  one(Blocks<4>{});
  one(Blocks<2>{});
}

}  // namespace auspex
