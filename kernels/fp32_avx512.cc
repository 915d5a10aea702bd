// SPDX-License-Identifier: Apache-2.0
#include "kernels/fp32_body.h"

namespace auspex {

const Fp32Functions kFp32Avx512 = kFunctions;

}  // namespace auspex
