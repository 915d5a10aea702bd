// SPDX-License-Identifier: Apache-2.0
// What the kernels are told of a network: pointers into the card's memory, and sizes. Read by nvcc,
// by the host that packs the weights (pack.h says in which order), and by the emulation.
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define AUSPEX_CONSTEXPR __host__ __device__ constexpr
#else
#define AUSPEX_CONSTEXPR constexpr
#endif

namespace auspex::cuda {

// What a layer's weights are, and its input beside them in the kernel for many samples. kTf32:
// FP32 whose last 13 bits are zero. Integers: a scale for each column, and for each sample's input,
// 255 steps of its largest. kPairs: INT8, of each four weights of a column only two.
enum class Format : uint8_t { kFp32, kTf32, kBf16, kFp16, kInt8, kInt4, kPairs };

AUSPEX_CONSTEXPR bool is_integer(Format format) {
  return format >= Format::kInt8;
}

inline constexpr uint32_t kThreads = 256;  // of a block
inline constexpr uint32_t kWarps = kThreads / 32;
inline constexpr uint32_t kMostLayers = 8;  // behind the first
inline constexpr uint32_t kMostRows = 14;
inline constexpr uint32_t kNumbers = 6;

struct alignas(16) Words {
  uint32_t word[4];
};

// auspex::EncodedJob, byte for byte.
struct Job {
  uint32_t rows[kMostRows];
  uint32_t row_count;
  float numbers[kNumbers];
};

// The sum of the rows that the one-hot names, and of those that stand for numbers.
struct InputLayer {
  const void* rows = nullptr;  // Shape: [one-hot rows][width], of the format; INT8 with 128 added
  const void* numbers = nullptr;  // Shape: [kNumbers][width], of number_format()
  const float* scale = nullptr;   // Shape: [width]; integers alone
  const float* bias = nullptr;    // Shape: [width]
  uint32_t width = 0;             // a multiple of kInputStep, zeros behind the columns there are
  Format format = Format::kFp32;  // kFp32, kBf16, kFp16 or kInt8
  bool relu = false;
};
inline constexpr uint32_t kInputStep = 64;
// Numbers have a sign and a range.
AUSPEX_CONSTEXPR Format number_format(Format format) {
  return format == Format::kInt8 ? Format::kBf16 : format;
}
// The kernel for many samples keeps a row in its registers.
inline constexpr uint32_t kInputMost = 2048;

// A layer for a single sample. Its weights lie column by column, in chunks of 16 bytes; eight lanes
// share a column. Its input is FP32.
struct ColumnLayer {
  const Words* weights = nullptr;    // Shape: [columns][chunks]
  const uint32_t* places = nullptr;  // Shape: [columns][chunks]; kPairs alone
  const float* scale = nullptr;      // Shape: [columns]; integers alone
  const float* bias = nullptr;       // Shape: [columns]
  uint32_t chunks = 0;
  uint32_t columns = 0;  // a multiple of kColumnStep
  Format format = Format::kFp32;
  bool relu = false;
};
inline constexpr uint32_t kMostPeers = 8;                // blocks of a cluster, on every card
inline constexpr uint32_t kColumnStep = kMostPeers * 4;  // a warp takes four columns at a time

// Weights in a chunk of 16 bytes, as a power of two.
AUSPEX_CONSTEXPR uint32_t chunk_shift(Format format) {
  switch (format) {
    case Format::kBf16:
    case Format::kFp16:
      return 3;
    case Format::kInt8:
      return 4;
    case Format::kInt4:
    case Format::kPairs:  // two of four, and where they are
      return 5;
    default:
      return 2;
  }
}
AUSPEX_CONSTEXPR uint32_t chunk_inputs(Format format) {
  return 1U << chunk_shift(format);
}

// A layer for many samples: products of matrices, weights from the left, on tensor cores but for
// kFp32. A step takes 64 bytes of a sample's input.
struct TileLayer {
  const Words* weights = nullptr;    // Shape: [columns / 16][steps][fragments][32 lanes];
                                     // kFp32: [inputs][columns] floats
  const uint32_t* places = nullptr;  // Shape: [columns / 16][steps][32 lanes]; kPairs alone
  const float* scale = nullptr;      // Shape: [columns]; integers alone
  const float* bias = nullptr;       // Shape: [columns]
  uint32_t steps = 0;
  uint32_t columns = 0;  // a multiple of kTileStep
  Format format = Format::kFp32;
  bool relu = false;
};
inline constexpr uint32_t kTileStep = 32;
inline constexpr uint32_t kStepBytes = 64;

// Of an element of a sample's input.
AUSPEX_CONSTEXPR uint32_t element_bytes(Format format) {
  return format == Format::kFp32 || format == Format::kTf32   ? 4
         : format == Format::kBf16 || format == Format::kFp16 ? 2
                                                              : 1;
}
// Products of a step, each with its own 16 bytes of weights a lane.
AUSPEX_CONSTEXPR uint32_t step_fragments(Format format) {
  return format == Format::kInt4 || format == Format::kPairs ? 1 : 2;
}

// A few samples, each by a cluster of blocks of its own.
inline constexpr uint32_t kMostSingles = 16;
// The host waits until no output has this value any more: NaN, but none that is computed.
inline constexpr uint32_t kPending = 0xffc0dead;
struct SingleNetwork {
  InputLayer input;
  ColumnLayer layer[kMostLayers];
  uint32_t layers = 0;       // behind the first
  uint32_t outputs = 0;      // of the last
  float* output = nullptr;   // Shape: [jobs][outputs]; the host reads it, too
  uint32_t widest = 0;       // of all layers' inputs and columns, a multiple of 32
  uint32_t own_columns = 0;  // of all layers together, a block's
  // Of the first layer a block adds up a share of the columns: its threads are groups of so many,
  // each of which takes some of the rows, and each thread eight columns.
  uint32_t eights = 0, groups = 0;
  uint32_t per_eight = 0;  // 65536 over eights, upwards: a thread's group without a division
  bool staged = false;     // the weights are copied to shared memory first
};
template <uint32_t kJobs>
struct SingleParams : SingleNetwork {
  Job jobs[kJobs];
};
// Values that blocks tell each other: the first layer's, then those of each but the last.
inline constexpr uint32_t kMostGates = kMostLayers;
// In shared memory, before the weights: two inputs, sums of groups of threads, scales and biases of
// the block's columns, gates.
AUSPEX_CONSTEXPR size_t single_bytes(uint32_t widest, uint32_t own_columns) {
  return (size_t{2} * widest + kThreads * 8 + size_t{2} * own_columns) * sizeof(float) +
         kMostGates * sizeof(uint64_t);
}

// A single sample by a kernel that stays on the card: a mailbox in the host's memory says what is
// asked. Each of its words is a word of the job with the request's number above it: one that has
// that number is there, in whatever order they come. The outputs tell by themselves, as above.
inline constexpr uint32_t kAskedWords = sizeof(Job) / sizeof(uint32_t) + 1;  // the last: an Asked
enum Asked : uint32_t { kAnswer, kLeave };
struct ResidentParams : SingleNetwork {
  const uint64_t* asked = nullptr;  // Shape: [kAskedWords]; the host writes it
  uint32_t first = 0;               // the number of the first request; then one on each time
  uint64_t idle_ns = 0;             // it leaves when nothing was asked for so long
};
// In shared memory, before all else: what is asked, and its gate.
inline constexpr uint32_t kAskedBytes = 128, kAskedGateAt = kAskedBytes - 8;
static_assert(kAskedWords <= 32 && kAskedWords * sizeof(uint32_t) <= kAskedGateAt);

// Many samples, `tile` of them to a block.
struct TileParams {
  InputLayer input;
  TileLayer layer[kMostLayers];
  uint32_t layers = 0;        // behind the first
  uint32_t outputs = 0;       // of the last
  const Job* jobs = nullptr;  // Shape: [count]
  uint32_t count = 0;
  float* output = nullptr;  // Shape: [count][outputs]
  uint32_t x_stride =
      0;  // bytes of a sample's input in shared memory: half of 128 behind whole ones
  uint32_t y_stride = 0;  // floats of its output: 4 behind whole 32; so lanes meet in no bank
};
inline constexpr uint32_t kTiles[] = {8, 16, 32, 64};
// In shared memory: inputs, outputs, and of each sample its job, its scale, a flag.
AUSPEX_CONSTEXPR size_t tile_bytes(const TileParams& p, uint32_t tile) {
  return size_t{tile} * (p.x_stride + p.y_stride * sizeof(float) + sizeof(Job) + 8);
}

// For comparison, the one-hot as it is: a vector of zeros and ones that every row is multiplied
// with. What comes out takes the place of the rows in the kernels above: FP32, one for each part of
// a sample, which adds them up as it would add up rows.
struct DenseParams {
  TileLayer layer;            // of the one-hot's rows; its columns are the input's width
  Job few[kMostSingles];      // the jobs, where `jobs` is none
  const Job* jobs = nullptr;  // Shape: [count]
  uint32_t count = 0;
  uint32_t samples = 0;        // count in whole tiles
  uint32_t parts = 0;          // of the inputs, at most kMostRows
  float* sums = nullptr;       // Shape: [parts][samples][layer.columns]
  Job* jobs_behind = nullptr;  // Shape: [count]: the next kernel's, whose rows are sums; or none
};
inline constexpr uint32_t kDenseFew = kMostSingles, kDenseMany = 64;  // tiles
// A block has so many vectors of so many steps in shared memory, twice: of a tile as many pieces,
// one behind the other, as fill them. Its warps share the pieces and, where fewer, columns.
inline constexpr uint32_t kDenseVectors = 128, kDenseSteps = 2;
inline constexpr uint32_t kDenseStride = kDenseSteps * kStepBytes + 64;  // see TileParams::x_stride
AUSPEX_CONSTEXPR uint32_t dense_depth(uint32_t tile) {
  return kDenseVectors / tile;
}
AUSPEX_CONSTEXPR uint32_t dense_columns(uint32_t tile) {
  return kWarps / dense_depth(tile) * kTileStep;
}
AUSPEX_CONSTEXPR uint32_t dense_across(const TileLayer& layer, uint32_t tile) {
  return (layer.columns + dense_columns(tile) - 1) / dense_columns(tile);
}
// In shared memory: the jobs' rows; then the vectors; in their place, at the end, what each depth
// adds.
AUSPEX_CONSTEXPR size_t dense_rows_bytes(uint32_t tile) {
  return size_t{tile} * kMostRows * sizeof(uint32_t);
}
AUSPEX_CONSTEXPR size_t dense_bytes(uint32_t tile) {
  const size_t vectors = size_t{2} * kDenseVectors * kDenseStride;
  const size_t sums = size_t{kDenseVectors} * dense_columns(tile) * sizeof(float);
  return dense_rows_bytes(tile) + (vectors > sums ? vectors : sums);
}

}  // namespace auspex::cuda
