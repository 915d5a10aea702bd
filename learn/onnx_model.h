// SPDX-License-Identifier: Apache-2.0
// The paper's network as an ONNX file, for a peer of auspex bench.
// Source: onnx.proto and the operators of opset 13, https://github.com/onnx/onnx.
#pragma once

#include <string>

#include "learn/bench_peers.h"

namespace auspex {

// Random weights. Inputs: "rows" [batch][kCategoryCount] int64, "numbers" [batch][kNumberCount];
// output: "outputs" [batch][kOutputCount].
// int8: the layers behind the first in INT8, their activations quantized as they come.
std::string onnx_model(const BenchNet& net, bool int8);

}  // namespace auspex
