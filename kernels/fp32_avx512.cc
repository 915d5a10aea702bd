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

void laplace_cdf_avx512(const float* x, uint32_t points, const float* v, const float* inverse_scale,
                        const float* weight, uint32_t count, float* cdf) {
  laplace_cdf_body(x, points, v, inverse_scale, weight, count, cdf);
}

void sum_ratios_avx512(const float* s, const float* inverse_s, uint32_t points, const float* v,
                       const float* inverse_v, const float* weight, uint32_t count, float* sum) {
  sum_ratios_body(s, inverse_s, points, v, inverse_v, weight, count, sum);
}

void sum_decays_avx512(const float* x, uint32_t points, const float* v, const float* inverse_scale,
                       const float* weight, uint32_t count, float* sum) {
  sum_decays_body(x, points, v, inverse_scale, weight, count, sum);
}

}  // namespace auspex
