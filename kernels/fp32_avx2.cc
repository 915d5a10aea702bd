// SPDX-License-Identifier: Apache-2.0
#include "kernels/fp32_body.h"

namespace auspex {

void add_rows_avx2(const float* const* rows, const float* factors, uint32_t count, uint32_t width,
                   float* y) {
  if (factors == nullptr) {
    add_rows_body<false>(rows, factors, count, width, y);
  } else {
    add_rows_body<true>(rows, factors, count, width, y);
  }
}

}  // namespace auspex
