// SPDX-License-Identifier: Apache-2.0
// An ONNX file without its weights: what a graph is made of, in a few hundred kilobytes.
#pragma once

#include <cstdint>
#include <string>

#include "shared/result.h"

namespace auspex {

struct OnnxLimits {
  uint64_t skeleton_bytes = uint64_t{64} << 20;
  uint32_t nodes = 50'000;
};

// A serialised onnx.ModelProto in which tensors of more than 4 KiB have no content; nothing larger
// was in memory. fd: a regular file, read from its start.
// Errors: no ONNX model, and at which byte that shows; over a limit.
Result<std::string> onnx_skeleton(int fd, const OnnxLimits& limits = {});

}  // namespace auspex
