// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace auspex {

// What an ONNX file leaves open.
struct ModelInput {
  uint64_t batch = 1;           // of each input's first dimension
  std::vector<int64_t> sample;  // of the other dimensions, in their order; those that are open
};

}  // namespace auspex
