// SPDX-License-Identifier: Apache-2.0
// An ONNX file's operators, with skip connections, for one batch. Weights are not read.
#pragma once

#include "graph/onnx_input.h"
#include "graph/onnx_skeleton.h"
#include "graph/operator_graph.h"
#include "shared/result.h"

namespace auspex {

// fd: a regular file. Opset 9 and later; operators of one kernel that exporters take apart
// (GELU, SiLU, hard swish, layer norm) are one node again.
// Errors: those of onnx_skeleton() and of shape inference.
Result<OperatorGraph> read_onnx(int fd, const ModelInput& input, const OnnxLimits& limits = {});

}  // namespace auspex
