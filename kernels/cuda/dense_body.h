// SPDX-License-Identifier: Apache-2.0
// The first layer as the paper computes it: the one-hot is a vector, made on the card from a job's
// indices, and all rows are multiplied, those of zeros too. For comparison: it reads a thousand
// times the bytes.
#pragma once

#include "kernels/cuda/vectors.h"

namespace auspex::cuda {

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
  for (uint32_t i = 0; i < kOwnBytes / sizeof(Words); ++i) {
    write(reinterpret_cast<Words*>(x) + i, Words{});
  }
  AUSPEX_UNROLL()
  for (uint32_t i = 0; i < kMostRows; ++i) {
    const uint32_t index = rows[i] - first;
    if (index < kOwnBytes / element_bytes(kFormat)) put_one<kFormat>(x, index);
  }
}

// A row that a job's one-hot has, or none. The card's memory and the kernel's parameters are read
// apart: CUDA 11.8 cannot choose between pointers to them.
AUSPEX_DEVICE uint32_t asked_row(const DenseParams& p, uint32_t sample, uint32_t row) {
  constexpr uint32_t kNone = ~0U;
  if (sample >= p.count) return kNone;
  if (p.jobs) return row < p.jobs[sample].row_count ? p.jobs[sample].rows[row] : kNone;
  return row < p.few[sample].row_count ? p.few[sample].rows[row] : kNone;
}

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
  constexpr uint32_t kColumns = dense_columns(kTile);
  const uint32_t tiles = p.samples / kTile, across = dense_across(p.layer, kTile);
  const uint32_t first = block() % tiles * kTile;                     // [0, samples)
  const uint32_t first_column = block() / tiles % across * kColumns;  // [0, columns)
  const uint32_t part = block() / (tiles * across);                   // [0, parts)
  auto* const rows = reinterpret_cast<uint32_t*>(shared);             // Shape: [kTile][kMostRows]
  for (uint32_t i = thread(); i < kTile * kMostRows; i += kThreads) {
    rows[i] = asked_row(p, first + i / kMostRows, i % kMostRows);
  }
  sync_threads();
  const auto make = [&](uint32_t sample, uint32_t input, char* x) {
    make_one_hot<kFormat>(rows + sample * kMostRows, input, x);
  };
  const auto take = [&](uint32_t sample, uint32_t column, float sum) {
    if (is_integer(kFormat)) sum *= fetch(p.layer.scale + column);
    const size_t at = size_t{part} * p.samples + first + sample;
    p.sums[at * p.layer.columns + column] = sum;
  };
  multiply_vectors<kTile, kFormat>(p.layer, first_column, part * p.layer.steps / p.parts,
                                   (part + 1) * p.layer.steps / p.parts,
                                   shared + dense_rows_bytes(kTile), make, take);
  if (p.jobs_behind && part == 0 && first_column == 0) name_sums<kTile>(p, first);
}

}  // namespace auspex::cuda
