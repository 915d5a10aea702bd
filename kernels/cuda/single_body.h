// SPDX-License-Identifier: Apache-2.0
// The whole network for a single sample, in one launch: a cluster of blocks, each of which computes
// its share of every layer's columns and tells all others.
#pragma once

#include "kernels/cuda/elements.h"

namespace auspex::cuda {

// Where in shared memory input `index` of a layer of that format lies. Eight lanes read a chunk's
// inputs each, 16 bytes at a time: turned so that they meet in no bank.
AUSPEX_DEVICE uint32_t input_place(Format format, uint32_t index) {
  const uint32_t shift = chunk_shift(format), inputs = 1U << shift;  // nothing is divided
  const uint32_t chunk = index >> shift, quad = (index & (inputs - 1)) >> 2;
  const uint32_t turn = (chunk & 7) >> (5 - shift);
  return (chunk << shift) + (((quad + turn) << 2) & (inputs - 1)) + (index & 3);
}

// Inputs [4 quad, 4 quad + 4) of a chunk.
AUSPEX_DEVICE const float* input_quad(const float* x, uint32_t quads, uint32_t chunk,
                                      uint32_t quad) {
  const uint32_t turn = chunk % 8 / (8 / quads);
  return x + (chunk * quads + (quad + turn) % quads) * 4;
}

// The sum of a chunk's weights times their inputs.
template <Format kFormat>
AUSPEX_DEVICE float chunk_sum(const Words& weights, uint32_t places, const float* x,
                              uint32_t chunk) {
  constexpr uint32_t kQuads = chunk_inputs(kFormat) / 4;
  float sum = 0;
  AUSPEX_UNROLL()
  for (uint32_t quad = 0; quad < kQuads; ++quad) {
    const float* const inputs = input_quad(x, kQuads, chunk, quad);
    if constexpr (kFormat == Format::kPairs) {
      const uint32_t word = weights.word[quad / 2], place = places >> (4 * quad);
      sum += float_of_byte(word, quad % 2 * 2) * inputs[place & 3];
      sum += float_of_byte(word, quad % 2 * 2 + 1) * inputs[place >> 2 & 3];
      continue;
    }
    const Words four = read(reinterpret_cast<const Words*>(inputs));
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < 4; ++k) {
      float weight = 0;
      if constexpr (kFormat == Format::kFp32 || kFormat == Format::kTf32) {
        weight = float_of(weights.word[k]);
      } else if constexpr (kFormat == Format::kBf16) {
        weight = float_of_bf16(weights.word[quad * 2 + k / 2] >> (k % 2 * 16) & 0xffff);
      } else if constexpr (kFormat == Format::kFp16) {
        weight = float_of_half(weights.word[quad * 2 + k / 2] >> (k % 2 * 16) & 0xffff);
      } else if constexpr (kFormat == Format::kInt8) {
        weight = float_of_byte(weights.word[quad], k);
      } else {
        weight = float_of_nibble(weights.word[quad / 2], quad % 2 * 4 + k);
      }
      sum += weight * float_of(four.word[k]);
    }
  }
  return sum;
}

// weights, places: of one column. -> of eight lanes in sequence this one's part.
template <Format kFormat>
AUSPEX_DEVICE float column_part(const Words* weights, const uint32_t* places, uint32_t chunks,
                                const float* x) {
  float sum = 0;
  AUSPEX_UNROLL(4)
  for (uint32_t chunk = lane() % 8; chunk < chunks; chunk += 8) {
    const uint32_t place = kFormat == Format::kPairs ? fetch(places + chunk) : 0;
    sum += chunk_sum<kFormat>(read(weights + chunk), place, x, chunk);
  }
  return sum;
}

AUSPEX_DEVICE float column_sum(const ColumnLayer& layer, const Words* weights, uint32_t column,
                               const float* x) {
  const uint32_t* const places = layer.places + size_t{column} * layer.chunks;
  float sum = 0;
  switch (layer.format) {
    case Format::kFp32:
    case Format::kTf32:
      sum = column_part<Format::kFp32>(weights, places, layer.chunks, x);
      break;
    case Format::kBf16:
      sum = column_part<Format::kBf16>(weights, places, layer.chunks, x);
      break;
    case Format::kFp16:
      sum = column_part<Format::kFp16>(weights, places, layer.chunks, x);
      break;
    case Format::kInt8:
      sum = column_part<Format::kInt8>(weights, places, layer.chunks, x);
      break;
    case Format::kInt4:
      sum = column_part<Format::kInt4>(weights, places, layer.chunks, x);
      break;
    case Format::kPairs:
      sum = column_part<Format::kPairs>(weights, places, layer.chunks, x);
      break;
  }
  for (uint32_t mask = 1; mask < 8; mask *= 2) sum += shuffle_xor(sum, mask);
  return sum;
}

// What a block has in its shared memory.
struct SingleShared {
  float* x;         // Shape: [2][widest]: inputs of the layers, in turn
  float* partial;   // Shape: [kThreads][8]
  float* scale;     // Shape: [own columns]: of all layers, one behind the other
  float* bias;      // Shape: [own columns]
  uint64_t* gates;  // Shape: [layers]
  Words* weights;   // of the own columns
};

AUSPEX_DEVICE SingleShared single_shared(char* memory, uint32_t widest, uint32_t own_columns) {
  SingleShared s;
  s.x = reinterpret_cast<float*>(memory);
  s.partial = s.x + 2 * widest;
  s.scale = s.partial + kThreads * 8;
  s.bias = s.scale + own_columns;
  s.gates = reinterpret_cast<uint64_t*>(s.bias + own_columns);
  s.weights = reinterpret_cast<Words*>(memory + single_bytes(widest, own_columns));
  return s;
}

// A block's share of a layer: the last one's is the first block's alone.
struct Share {
  uint32_t first, columns;
};
template <uint32_t kPeers>
AUSPEX_DEVICE Share share_of(const ColumnLayer& layer, bool last, uint32_t rank) {
  if (last) return {0, rank == 0 ? layer.columns : 0};
  return {rank * (layer.columns / kPeers), layer.columns / kPeers};
}

AUSPEX_DEVICE void make_gates(const SingleNetwork& p, const SingleShared& s) {
  for (uint32_t i = 0; i < p.layers; ++i) make_gate(s.gates + i);
}
// Those that are to know the inputs of layer `i`: of the last one the first block alone. When that
// has them all, no block waits for anything any more, and nothing is on its way.
template <uint32_t kPeers>
AUSPEX_DEVICE uint32_t listeners(const SingleNetwork& p, uint32_t i) {
  return i + 1 == p.layers ? 1 : kPeers;
}

// What each gate is to let through for a sample.
template <uint32_t kPeers>
AUSPEX_DEVICE void announce_all(const SingleNetwork& p, uint32_t rank, const SingleShared& s) {
  for (uint32_t i = 0; i < p.layers; ++i) {
    const uint32_t columns = i == 0 ? p.input.width : p.layer[i - 1].columns;
    announce(s.gates + i, rank < listeners<kPeers>(p, i) ? columns * sizeof(float) : 0);
  }
}

// Tells who is to know it input `index` of layer `i`.
template <uint32_t kPeers>
AUSPEX_DEVICE void tell(const SingleNetwork& p, uint32_t i, uint32_t index, float value,
                        const SingleShared& s) {
  float* const x = s.x + i % 2 * p.widest;
  const uint32_t place = input_place(p.layer[i].format, index);
  const uint32_t listen = listeners<kPeers>(p, i);
  AUSPEX_UNROLL()
  for (uint32_t peer = 0; peer < kPeers; ++peer) {
    if (peer < listen) send(x, peer, place, value, s.gates + i);
  }
}

// A value beyond the range of a float stays so, through all layers.
AUSPEX_DEVICE float after_relu(float value, bool relu) {
  return relu && is_finite(value) ? positive(value) : value;
}

// Asks for what belongs to the own columns of all layers behind the first.
template <uint32_t kPeers>
AUSPEX_DEVICE void stage(const SingleNetwork& p, uint32_t rank, const SingleShared& s) {
  Words* weights = s.weights;
  uint32_t at = 0;
  for (uint32_t i = 0; i < p.layers; ++i) {
    const ColumnLayer& layer = p.layer[i];
    const Share share = share_of<kPeers>(layer, i + 1 == p.layers, rank);
    if (p.staged) {
      const uint32_t count = share.columns * layer.chunks;
      const Words* const from = layer.weights + size_t{share.first} * layer.chunks;
      for (uint32_t k = thread(); k < count; k += kThreads) copy_async(weights + k, from + k);
      weights += count;
    }
    for (uint32_t k = thread(); k < share.columns; k += kThreads) {
      s.scale[at + k] = is_integer(layer.format) ? fetch(layer.scale + share.first + k) : 1;
      s.bias[at + k] = fetch(layer.bias + share.first + k);
    }
    at += share.columns;
  }
}

// Adds up the job's rows, a share of their columns. -> all peers' x
template <uint32_t kPeers, Format kFormat, class Before>
AUSPEX_DEVICE void gather(const SingleNetwork& p, const Job& job, uint32_t rank,
                          const SingleShared& s, const Before& before_telling) {
  static_assert(kInputMost <= kThreads * 8);
  const InputLayer& input = p.input;
  const uint32_t columns = input.width / kPeers, items = job.row_count + kNumbers;
  const uint32_t group = thread() * p.per_eight >> 16, eighth = thread() - group * p.eights;
  const uint32_t column = rank * columns + eighth * 8;
  // Asked for before the rows are.
  const uint32_t first = rank * columns + thread();
  const float bias = thread() < columns ? fetch(input.bias + first) : 0;
  if (group < p.groups && group < items) {
    float sum[8] = {};
    Elements<Format::kFp32, 8> scale = {};
    if (kFormat == Format::kInt8) scale.ask(reinterpret_cast<const char*>(input.scale + column));
    for (uint32_t item = group; item < items; item += p.groups) {
      if (item < job.row_count) {
        Elements<kFormat, 8> row;
        row.ask(one_hot_row<kFormat>(input, job.rows[item], column));
        AUSPEX_UNROLL()
        for (uint32_t k = 0; k < 8; ++k) {
          sum[k] += kFormat == Format::kInt8 ? row.at(k) * scale.at(k) : row.at(k);
        }
      } else {
        const uint32_t number = item - job.row_count;
        Elements<number_format(kFormat), 8> row;
        row.ask(number_row<kFormat>(input, number, column));
        AUSPEX_UNROLL()
        for (uint32_t k = 0; k < 8; ++k) sum[k] += job.numbers[number] * row.at(k);
      }
    }
    AUSPEX_UNROLL()
    for (uint32_t k = 0; k < 8; k += 4) {
      const Words four = {
          {bits_of(sum[k]), bits_of(sum[k + 1]), bits_of(sum[k + 2]), bits_of(sum[k + 3])}};
      write(reinterpret_cast<Words*>(s.partial + group * columns + eighth * 8 + k), four);
    }
  }
  sync_threads();
  before_telling();
  const uint32_t parts = p.groups < items ? p.groups : items;
  for (uint32_t i = thread(); i < columns; i += kThreads) {
    float value = i == thread() ? bias : fetch(input.bias + rank * columns + i);
    AUSPEX_UNROLL(4)
    for (uint32_t g = 0; g < parts; ++g) value += s.partial[g * columns + i];
    tell<kPeers>(p, 0, rank * columns + i, after_relu(value, input.relu), s);
  }
}

template <uint32_t kPeers, class Before>
AUSPEX_DEVICE void gather(const SingleNetwork& p, const Job& job, uint32_t rank,
                          const SingleShared& s, const Before& before_telling) {
  switch (p.input.format) {
    case Format::kInt8:
      return gather<kPeers, Format::kInt8>(p, job, rank, s, before_telling);
    case Format::kBf16:
      return gather<kPeers, Format::kBf16>(p, job, rank, s, before_telling);
    case Format::kFp16:
      return gather<kPeers, Format::kFp16>(p, job, rank, s, before_telling);
    default:
      return gather<kPeers, Format::kFp32>(p, job, rank, s, before_telling);
  }
}

// All layers behind the first, for the sample that is the gates' `turn`th. -> p.output [sample]
template <uint32_t kPeers>
AUSPEX_DEVICE void run_layers(const SingleNetwork& p, uint32_t rank, uint32_t sample, uint32_t turn,
                              const SingleShared& s) {
  const Words* staged = s.weights;
  uint32_t at = 0;
  for (uint32_t i = 0; i < p.layers; ++i) {
    const ColumnLayer& layer = p.layer[i];
    const bool last = i + 1 == p.layers;
    const Share share = share_of<kPeers>(layer, last, rank);
    const Words* const weights =
        p.staged ? staged : layer.weights + size_t{share.first} * layer.chunks;
    const float* const x = s.x + i % 2 * p.widest;
    pass(s.gates + i, turn);
    for (uint32_t four = warp() * 4; four < share.columns; four += kWarps * 4) {
      const uint32_t own = four + lane() / 8, column = share.first + own;
      float value = column_sum(layer, weights + size_t{own} * layer.chunks, column, x);
      if (lane() % 8 != 0) continue;
      value = value * s.scale[at + own] + s.bias[at + own];
      if (!last) {
        tell<kPeers>(p, i + 1, column, after_relu(value, layer.relu), s);
      } else if (column < p.outputs) {
        value = after_relu(value, layer.relu);
        show(p.output + size_t{sample} * p.outputs + column,
             is_finite(value) ? value : not_a_number());
      }
    }
    staged += share.columns * layer.chunks;
    at += share.columns;
  }
}

template <uint32_t kPeers, uint32_t kJobs>
AUSPEX_DEVICE void single_body(const SingleParams<kJobs>& p, char* shared) {
  // Shapes: jobs [kJobs at most] -> output [jobs][outputs]; block in [0, kPeers * jobs)
  const uint32_t rank = block() % kPeers, sample = block() / kPeers;
  const SingleShared s = single_shared(shared, p.widest, p.own_columns);
  if (thread() == 0) {
    make_gates(p, s);
    announce_all<kPeers>(p, rank, s);
  }
  arrive_peers();
  stage<kPeers>(p, rank, s);
  const auto peers_are_there = [] { wait_peers(); };
  gather<kPeers>(p, p.jobs[sample], rank, s, peers_are_there);
  wait_copies();
  sync_threads();
  run_layers<kPeers>(p, rank, sample, 0, s);
}

}  // namespace auspex::cuda
