// SPDX-License-Identifier: Apache-2.0
// Weights and activations out of their words and into them.
#pragma once

#include "kernels/cuda/device.h"

namespace auspex::cuda {

AUSPEX_DEVICE float float_of_bf16(uint32_t bits) { return float_of(bits << 16); }
AUSPEX_DEVICE uint32_t bf16_of(float value) {  // to nearest, ties to even; no NaN comes here
  const uint32_t bits = bits_of(value);
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
AUSPEX_DEVICE uint32_t tf32_of(float value) { return (bits_of(value) + 0x1000) & ~0x1fffU; }

// A whole number below 2^23 put behind 2^23 is a float: a conversion at the rate of additions.
AUSPEX_DEVICE float float_of_byte(uint32_t word, uint32_t place) {  // [0,4), signed
  const uint32_t shifted = (word ^ 0x80808080U) >> (8 * place) & 0xff;
  return float_of(0x4b000000U | shifted) - 8388736.0F;  // 2^23 + 128
}
AUSPEX_DEVICE float float_of_nibble(uint32_t word, uint32_t place) {  // [0,8), signed
  const uint32_t shifted = (word ^ 0x88888888U) >> (4 * place) & 0xf;
  return float_of(0x4b000000U | shifted) - 8388616.0F;  // 2^23 + 8
}

AUSPEX_DEVICE bool is_finite(float value) { return (bits_of(value) & 0x7f800000U) != 0x7f800000U; }
AUSPEX_DEVICE float positive(float value) { return value > 0 ? value : 0; }

// Adds to sum[0,16) the `kCount` elements from `from` on, 4, 8 or 16: of INT8 times their scale.
template <uint32_t kCount>
AUSPEX_DEVICE void add_elements(Format format, const char* from, const float* scale,
                                float (&sum)[kCount]) {
  if (format == Format::kInt8) {
    AUSPEX_UNROLL()
    for (uint32_t i = 0; i < kCount / 4; ++i) {
      const uint32_t word = fetch(reinterpret_cast<const uint32_t*>(from) + i);
      AUSPEX_UNROLL()
      for (uint32_t k = 0; k < 4; ++k) sum[4 * i + k] += float_of_byte(word, k) * scale[4 * i + k];
    }
  } else if (format == Format::kFp32) {
    AUSPEX_UNROLL()
    for (uint32_t i = 0; i < kCount / 4; ++i) {
      const Words four = fetch(reinterpret_cast<const Words*>(from) + i);
      AUSPEX_UNROLL()
      for (uint32_t k = 0; k < 4; ++k) sum[4 * i + k] += float_of(four.word[k]);
    }
  } else {
    AUSPEX_UNROLL()
    for (uint32_t i = 0; i < kCount / 2; ++i) {
      const uint32_t pair = fetch(reinterpret_cast<const uint32_t*>(from) + i);
      const bool bf16 = format == Format::kBf16;
      sum[2 * i] += bf16 ? float_of_bf16(pair & 0xffff) : float_of_half(pair & 0xffff);
      sum[2 * i + 1] += bf16 ? float_of_bf16(pair >> 16) : float_of_half(pair >> 16);
    }
  }
}

// Where a row of the first layer has that column.
AUSPEX_DEVICE const char* one_hot_row(const InputLayer& input, uint32_t row, uint32_t column) {
  return static_cast<const char*>(input.rows) +
         (size_t{row} * input.width + column) * element_bytes(input.format);
}
AUSPEX_DEVICE const char* number_row(const InputLayer& input, uint32_t number, uint32_t column) {
  return static_cast<const char*>(input.numbers) +
         (size_t{number} * input.width + column) * element_bytes(number_format(input.format));
}

}  // namespace auspex::cuda
