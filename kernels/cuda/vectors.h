// SPDX-License-Identifier: Apache-2.0
// A layer times vectors that the block makes as it goes: they are too long to be kept.
#pragma once

#include "kernels/cuda/tile_body.h"

namespace auspex::cuda {

// That a thread makes at a time.
inline constexpr uint32_t kOwnBytes = kDenseVectors * kDenseSteps * kStepBytes / kThreads;

// What a warp adds up: 32 columns of a tile.
template <uint32_t kTile, Format kFormat>
struct VectorSum {
  // Of many samples the sums leave no registers for a second step.
  static constexpr int kTogether = kTile == kDenseFew ? 2 : 1;
  typename Sum<kFormat>::type sum[2][kTile / 8][4] = {};
  AUSPEX_DEVICE void add(const TileLayer& layer, uint32_t column, uint32_t begin, uint32_t end,
                         const char* x) {
    const Words* const own = lane_inputs(x, 0, kDenseStride);
    AUSPEX_UNROLL(kTogether)
    for (uint32_t step = begin; step < end; ++step) {
      add_step<kFormat>(sum, layer, column, step, own + (step - begin) * kStepWords,
                        kDenseStride / sizeof(Words));
    }
  }
  // to: Shape [kTile][dense_columns(kTile)], at the warp's first column.
  AUSPEX_DEVICE void store(float* to) const {
    for_each_sum(sum, [&](uint32_t sample, uint32_t column, uint32_t, float value) {
      to[sample * dense_columns(kTile) + column] = value;
    });
  }
};
template <uint32_t kTile>
struct VectorSum<kTile, Format::kFp32> {
  float sum[kTile] = {};
  AUSPEX_DEVICE void add(const TileLayer& layer, uint32_t column, uint32_t begin, uint32_t end,
                         const char* x) {
    const float* const weights = reinterpret_cast<const float*>(layer.weights) +
                                 size_t{begin} * kStepFloats * layer.columns + column + lane();
    add_inputs(sum, weights, layer.columns, (end - begin) * kStepFloats, x, kDenseStride);
  }
  AUSPEX_DEVICE void store(float* to) const {
    AUSPEX_UNROLL()
    for (uint32_t sample = 0; sample < kTile; ++sample) {
      to[sample * dense_columns(kTile) + lane()] = sum[sample];
    }
  }
};

// Steps [begin, end) of the layer, for the block's columns from `first_column` on and kTile
// samples. make(sample, input, x): kOwnBytes of a sample's vector, from that input on, to x.
// take(sample, column, sum): of each sum one thread. shared: dense_bytes(kTile) without the rows.
template <uint32_t kTile, Format kFormat, class Make, class Take>
AUSPEX_DEVICE void multiply_vectors(const TileLayer& layer, uint32_t first_column, uint32_t begin,
                                    uint32_t end, char* shared, const Make& make,
                                    const Take& take) {
  constexpr uint32_t kDepth = dense_depth(kTile), kColumns = dense_columns(kTile);
  constexpr uint32_t kPiece = kDenseSteps * kStepBytes, kAtOnce = kDepth * kDenseSteps;
  // Of vector `own` those bytes from `own_byte` on.
  const uint32_t own = thread() * kOwnBytes / kPiece;  // [0, kDenseVectors)
  const uint32_t own_byte = thread() * kOwnBytes % kPiece;
  const auto vectors = [&](uint32_t turn) {  // [0, 2)
    return shared + turn * kDenseVectors * kDenseStride;
  };
  const auto make_own = [&](uint32_t step, uint32_t turn) {
    const uint32_t byte = (step + own / kTile * kDenseSteps) * kStepBytes + own_byte;
    make(own % kTile, byte / element_bytes(kFormat), vectors(turn) + own * kDenseStride + own_byte);
  };

  const uint32_t depth = warp() % kDepth, own_column = warp() / kDepth * kTileStep;
  const bool works = first_column + own_column < layer.columns;
  VectorSum<kTile, kFormat> sum;
  uint32_t turn = 0;
  make_own(begin, turn);
  for (uint32_t step = begin; step < end; step += kAtOnce, turn = 1 - turn) {
    sync_threads();
    if (step + kAtOnce < end) make_own(step + kAtOnce, 1 - turn);
    const uint32_t from = step + depth * kDenseSteps;
    const uint32_t to = from + kDenseSteps < end ? from + kDenseSteps : end;
    if (!works || from >= end) continue;
    sum.add(layer, first_column + own_column, from, to,
            vectors(turn) + depth * kTile * kDenseStride);
  }
  sync_threads();
  float* const sums = reinterpret_cast<float*>(shared);  // Shape: [kDepth][kTile][kColumns]
  if (works) sum.store(sums + depth * kTile * kColumns + own_column);
  sync_threads();
  for (uint32_t i = thread(); i < kTile * kColumns; i += kThreads) {
    if (first_column + i % kColumns >= layer.columns) continue;
    float total = 0;
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < kDepth; ++k) total += sums[k * kTile * kColumns + i];
    take(i / kColumns, first_column + i % kColumns, total);
  }
}

}  // namespace auspex::cuda
