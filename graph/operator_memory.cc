// SPDX-License-Identifier: Apache-2.0
#include "graph/operator_memory.h"

namespace auspex {

Saved saved_by(Operator op) {
  switch (op) {
    case Operator::kConvolution:
    case Operator::kTransposedConvolution:
    case Operator::kDense:
    case Operator::kBatchedMultiply:
    case Operator::kEinsum:
    case Operator::kEmbedding:
    case Operator::kBatchNorm:
    case Operator::kLayerNorm:
    case Operator::kGroupNorm:
    case Operator::kLocalNorm:
    case Operator::kGelu:
    case Operator::kSilu:
    case Operator::kHardSwish:
    case Operator::kHardSigmoid:
    case Operator::kClip:
    case Operator::kLeakyRelu:
    case Operator::kOtherActivation:
    case Operator::kOtherElementwise:
    case Operator::kMultiply:
    case Operator::kDivide:
    case Operator::kAveragePool:
    case Operator::kUnknown:
      return {true, false, 0};
    case Operator::kAttention:
      return {true, true, 0};
    case Operator::kRecurrent:  // gates of all steps: measured, of a GRU's 96 steps of 256 in FP32
      return {true, true, 40};
    case Operator::kMaxPool:
    case Operator::kSort:
      return {true, false, 8};
    case Operator::kDropout:
      return {false, false, 1};
    case Operator::kRelu:
    case Operator::kSigmoid:
    case Operator::kTanh:
    case Operator::kSoftmax:
      return {false, true, 0};
    default:
      return {};
  }
}

Autocast autocast_of(Operator op) {
  switch (op) {
    case Operator::kConvolution:
    case Operator::kTransposedConvolution:
    case Operator::kDense:
    case Operator::kBatchedMultiply:
    case Operator::kEinsum:
    case Operator::kAttention:
    case Operator::kRecurrent:
      return Autocast::kHalf;
    case Operator::kLayerNorm:
    case Operator::kGroupNorm:
    case Operator::kSoftmax:
      return Autocast::kFull;
    case Operator::kBatchNorm:
      return Autocast::kFirst;
    default:
      return Autocast::kWidest;
  }
}

}  // namespace auspex
