// SPDX-License-Identifier: Apache-2.0
#include "kernels/int8_body.h"

namespace auspex {

const Int8Functions kInt8Avx512 = kFunctions;

}  // namespace auspex
