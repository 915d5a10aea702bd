// SPDX-License-Identifier: Apache-2.0
#include "kernels/fp32_body.h"
#include "kernels/fp32_functions.h"

namespace auspex {

const Fp32Functions kFp32Portable = {add_rows, item_heads, laplace_cdf, sum_ratios, sum_decays};

}  // namespace auspex
