// SPDX-License-Identifier: Apache-2.0
// Weights and activations out of their words and into them.
#pragma once

#include "kernels/cuda/device.h"

namespace auspex::cuda {

AUSPEX_DEVICE float float_of_bf16(uint32_t bits) {
  return float_of(bits << 16);
}
AUSPEX_DEVICE uint32_t bf16_of(float value) {  // to nearest, ties to even; no NaN comes here
  const uint32_t bits = bits_of(value);
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
AUSPEX_DEVICE uint32_t tf32_of(float value) {
  return (bits_of(value) + 0x1000) & ~0x1fffU;
}

// A whole number below 2^23 put behind 2^23 is a float: a conversion at the rate of additions.
AUSPEX_DEVICE float float_of_unsigned_byte(uint32_t word, uint32_t place) {  // [0,4)
  return float_of(byte_behind(word, place, 0x4b000000U)) - 8388736.0F;       // 2^23 + 128
}
AUSPEX_DEVICE float float_of_byte(uint32_t word, uint32_t place) {  // [0,4), signed
  return float_of_unsigned_byte(word ^ 0x80808080U, place);
}
AUSPEX_DEVICE float float_of_nibble(uint32_t word, uint32_t place) {  // [0,8), signed
  const uint32_t shifted = (word ^ 0x88888888U) >> (4 * place) & 0xf;
  return float_of(0x4b000000U | shifted) - 8388616.0F;  // 2^23 + 8
}

AUSPEX_DEVICE bool is_finite(float value) {
  return (bits_of(value) & 0x7f800000U) != 0x7f800000U;
}
AUSPEX_DEVICE float positive(float value) {
  return value > 0 ? value : 0;
}

// `kCount` elements in sequence, 4, 8 or 16: asked for first, read when they are there. INT8 as
// rows of the first layer have it.
template <Format kFormat, uint32_t kCount>
struct Elements {
  static constexpr uint32_t kWords = kCount * element_bytes(kFormat) / 4;
  uint32_t word[kWords];

  AUSPEX_DEVICE void ask(const char* from) {
    if constexpr (kWords % 4 == 0) {
      AUSPEX_UNROLL()
      for (uint32_t i = 0; i < kWords / 4; ++i) {
        const Words four = fetch(reinterpret_cast<const Words*>(from) + i);
        AUSPEX_UNROLL()
        for (uint32_t k = 0; k < 4; ++k) word[4 * i + k] = four.word[k];
      }
    } else {
      fetch_pair(reinterpret_cast<const uint32_t*>(from), word);
    }
  }
  AUSPEX_DEVICE float at(uint32_t i) const {
    if constexpr (kFormat == Format::kInt8) return float_of_unsigned_byte(word[i / 4], i % 4);
    if constexpr (element_bytes(kFormat) == 4) return float_of(word[i]);
    const uint32_t half = word[i / 2] >> (i % 2 * 16) & 0xffff;
    return kFormat == Format::kBf16 ? float_of_bf16(half) : float_of_half(half);
  }
};

// Where a row of the first layer has that column.
template <Format kFormat>
AUSPEX_DEVICE const char* one_hot_row(const InputLayer& input, uint32_t row, uint32_t column) {
  return static_cast<const char*>(input.rows) +
         (size_t{row} * input.width + column) * element_bytes(kFormat);
}
template <Format kFormat>
AUSPEX_DEVICE const char* number_row(const InputLayer& input, uint32_t number, uint32_t column) {
  return static_cast<const char*>(input.numbers) +
         (size_t{number} * input.width + column) * element_bytes(number_format(kFormat));
}

}  // namespace auspex::cuda
