// SPDX-License-Identifier: Apache-2.0
// The first layer as the paper computes it: the one-hot is a vector, made on the card from a job's
// indices, and all rows are multiplied, those of zeros too. For comparison: it reads a thousand
// times the bytes.
#pragma once

#include "kernels/cuda/tile_body.h"

namespace auspex::cuda {

inline constexpr uint32_t kDenseOwnBytes = kDenseVectors * kDenseSteps * kStepBytes / kThreads;

// What the one-hot has where it is one.
template <Format kFormat>
AUSPEX_DEVICE void put_one(char* x, uint32_t index) {
  constexpr uint32_t kBytes = element_bytes(kFormat);
  constexpr uint32_t kOne = kBytes == 4                ? 0x3f800000
                            : kFormat == Format::kBf16 ? 0x3f80
                            : kFormat == Format::kFp16 ? 0x3c00
                                                       : 1;
  AUSPEX_UNROLL()
  for (uint32_t i = 0; i < kBytes; ++i) {
    x[index * kBytes + i] = static_cast<char>(kOne >> (8 * i) & 0xff);
  }
}

// Inputs from `first` on of a one-hot, as many as a thread makes. rows: [kMostRows]
template <Format kFormat>
AUSPEX_DEVICE void make_one_hot(const uint32_t* rows, uint32_t first, char* x) {
  AUSPEX_UNROLL()
  for (uint32_t i = 0; i < kDenseOwnBytes / sizeof(Words); ++i) {
    write(reinterpret_cast<Words*>(x) + i, Words{});
  }
  AUSPEX_UNROLL()
  for (uint32_t i = 0; i < kMostRows; ++i) {
    const uint32_t index = rows[i] - first;
    if (index < kDenseOwnBytes / element_bytes(kFormat)) put_one<kFormat>(x, index);
  }
}

// What a warp adds up: 32 columns of a tile.
template <uint32_t kTile, Format kFormat>
struct DenseSum {
  typename Sum<kFormat>::type sum[2][kTile / 8][4] = {};
  AUSPEX_DEVICE void add(const TileLayer& layer, uint32_t column, uint32_t begin, uint32_t end,
                         const char* x) {
    add_steps<kFormat>(sum, layer, column, begin, end, x, kDenseStride);
  }
  // to: Shape [kTile][dense_columns(kTile)], at the warp's first column.
  AUSPEX_DEVICE void store(float* to) const {
    for_each_sum(sum, [&](uint32_t sample, uint32_t column, uint32_t, float value) {
      to[sample * dense_columns(kTile) + column] = value;
    });
  }
};
template <uint32_t kTile>
struct DenseSum<kTile, Format::kFp32> {
  float sum[kTile] = {};
  AUSPEX_DEVICE void add(const TileLayer& layer, uint32_t column, uint32_t begin, uint32_t end,
                         const char* x) {
    add_steps_fp32(sum, layer, column, begin, end, x, kDenseStride);
  }
  AUSPEX_DEVICE void store(float* to) const {
    AUSPEX_UNROLL()
    for (uint32_t sample = 0; sample < kTile; ++sample) {
      to[sample * dense_columns(kTile) + lane()] = sum[sample];
    }
  }
};

// Jobs whose rows are the sums of this one.
template <uint32_t kTile>
AUSPEX_DEVICE void name_sums(const DenseParams& p, uint32_t first) {
  const uint32_t sample = first + thread();
  if (thread() >= kTile || sample >= p.count) return;
  Job behind = p.jobs[sample];
  AUSPEX_UNROLL()
  for (uint32_t i = 0; i < kMostRows; ++i) behind.rows[i] = i * p.samples + sample;
  behind.row_count = p.parts;
  p.jobs_behind[sample] = behind;
}

template <uint32_t kTile, Format kFormat>
AUSPEX_DEVICE void dense_body(const DenseParams& p, char* shared) {
  // Shapes: jobs [count] -> sums [parts][samples][columns]; block in [0, tiles * across * parts)
  constexpr uint32_t kDepth = dense_depth(kTile), kColumns = dense_columns(kTile);
  constexpr uint32_t kPiece = kDenseSteps * kStepBytes, kAtOnce = kDepth * kDenseSteps;
  const uint32_t tiles = p.samples / kTile, across = dense_across(p.layer, kTile);
  const uint32_t first = block() % tiles * kTile;                     // [0, samples)
  const uint32_t first_column = block() / tiles % across * kColumns;  // [0, columns)
  const uint32_t part = block() / (tiles * across);                   // [0, parts)
  const uint32_t begin = part * p.layer.steps / p.parts;
  const uint32_t end = (part + 1) * p.layer.steps / p.parts;

  // Of the vectors in shared memory this thread makes a few bytes: of vector `own` those from
  // `own_byte` on.
  const uint32_t own = thread() * kDenseOwnBytes / kPiece;  // [0, kDenseVectors)
  const uint32_t own_byte = thread() * kDenseOwnBytes % kPiece;
  auto* const rows = reinterpret_cast<uint32_t*>(shared);  // Shape: [kTile][kMostRows]
  const Job* const jobs = p.jobs ? p.jobs : p.few;
  for (uint32_t i = thread(); i < kTile * kMostRows; i += kThreads) {
    const uint32_t sample = first + i / kMostRows, row = i % kMostRows;
    const bool there = sample < p.count && row < jobs[sample].row_count;
    rows[i] = there ? jobs[sample].rows[row] : ~0U;
  }
  sync_threads();
  char* const room = shared + dense_rows_bytes(kTile);
  const auto vectors = [&](uint32_t turn) {  // [0, 2)
    return room + turn * kDenseVectors * kDenseStride;
  };
  const auto make = [&](uint32_t step, uint32_t turn) {
    const uint32_t byte = (step + own / kTile * kDenseSteps) * kStepBytes + own_byte;
    make_one_hot<kFormat>(rows + own % kTile * kMostRows, byte / element_bytes(kFormat),
                          vectors(turn) + own * kDenseStride + own_byte);
  };

  const uint32_t depth = warp() % kDepth, own_column = warp() / kDepth * kTileStep;
  const bool works = first_column + own_column < p.layer.columns;
  DenseSum<kTile, kFormat> sum;
  uint32_t turn = 0;
  make(begin, turn);
  for (uint32_t step = begin; step < end; step += kAtOnce, turn = 1 - turn) {
    sync_threads();
    if (step + kAtOnce < end) make(step + kAtOnce, 1 - turn);
    const uint32_t from = step + depth * kDenseSteps;
    const uint32_t to = from + kDenseSteps < end ? from + kDenseSteps : end;
    if (!works || from >= end) continue;
    sum.add(p.layer, first_column + own_column, from, to,
            vectors(turn) + depth * kTile * kDenseStride);
  }
  sync_threads();
  float* const sums = reinterpret_cast<float*>(room);  // Shape: [kDepth][kTile][kColumns]
  if (works) sum.store(sums + depth * kTile * kColumns + own_column);
  sync_threads();
  for (uint32_t i = thread(); i < kTile * kColumns; i += kThreads) {
    const uint32_t column = first_column + i % kColumns;
    if (column >= p.layer.columns) continue;
    float total = 0;
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < kDepth; ++k) total += sums[k * kTile * kColumns + i];
    if (is_integer(kFormat)) total *= fetch(p.layer.scale + column);
    const size_t sample = size_t{part} * p.samples + first + i / kColumns;
    p.sums[sample * p.layer.columns + column] = total;
  }
  if (p.jobs_behind && part == 0 && first_column == 0) name_sums<kTile>(p, first);
}

}  // namespace auspex::cuda
