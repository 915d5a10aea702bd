// SPDX-License-Identifier: Apache-2.0
#include "kernels/fp32_body.h"

namespace auspex {

void add_rows_avx512(const float* const* rows, const float* factors, uint32_t count, uint32_t width,
                     float* y) {
  if (factors == nullptr) {
    add_rows_body<false>(rows, factors, count, width, y);
  } else {
    add_rows_body<true>(rows, factors, count, width, y);
  }
}

float laplace_cdf_avx512(const float* v, const float* inverse_scale, const float* weight,
                         uint32_t count, float x) {
  return laplace_cdf_body(v, inverse_scale, weight, count, x);
}

void expected_accuracy_avx512(const float* x, uint32_t points, const float* v, const float* scale,
                              const float* weight, uint32_t count, float* score) {
  expected_accuracy_body(x, points, v, scale, weight, count, score);
}

}  // namespace auspex
