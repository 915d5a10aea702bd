// SPDX-License-Identifier: Apache-2.0
// The whole network for a single sample, in one launch: a cluster of blocks, each of which computes
// its share of every layer's columns and tells all others.
#pragma once

#include "kernels/cuda/elements.h"

namespace auspex::cuda {

// Where in shared memory input `index` of a layer of that format lies. Eight lanes read a chunk's
// inputs each, 16 bytes at a time: turned so that they meet in no bank.
AUSPEX_DEVICE uint32_t input_place(Format format, uint32_t index) {
  const uint32_t inputs = chunk_inputs(format), quads = inputs / 4;
  const uint32_t chunk = index / inputs, quad = index % inputs / 4;
  const uint32_t turn = chunk % 8 / (8 / quads);
  return (chunk * quads + (quad + turn) % quads) * 4 + index % 4;
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
  float* x;        // Shape: [2][widest]: inputs of the layers, in turn
  float* partial;  // Shape: [kThreads][4]
  uint32_t* lost;  // a value went beyond the range of a float; of the first block
  Words* weights;  // this block's columns of all layers, one behind the other
};

AUSPEX_DEVICE SingleShared single_shared(char* memory, uint32_t widest) {
  auto* const floats = reinterpret_cast<float*>(memory);
  return {floats, floats + 2 * widest,
          reinterpret_cast<uint32_t*>(floats + 2 * widest + kThreads * 4),
          reinterpret_cast<Words*>(memory + single_bytes(widest))};
}

// Tells all peers the value of a layer's column.
template <uint32_t kPeers>
AUSPEX_DEVICE void tell(const SingleShared& s, float* x, Format next, uint32_t column,
                        float value) {
  const uint32_t place = input_place(next, column);
  for (uint32_t peer = 0; peer < kPeers; ++peer) put(x, peer, place, value);
  if (!is_finite(value)) put(s.lost, 0, 0, 1U);
}

// Asks for the weights of all layers behind the first.
template <uint32_t kPeers>
AUSPEX_DEVICE void stage_weights(const NetworkView& network, uint32_t rank, Words* to) {
  for (uint32_t i = 0; i < network.layers; ++i) {
    const ColumnLayer& layer = network.column[i];
    const bool last = i + 1 == network.layers;
    const uint32_t columns = last ? layer.columns : layer.columns / kPeers;
    if (last && rank > 0) return;
    const uint32_t count = columns * layer.chunks;
    const Words* const from = layer.weights + (last ? 0 : size_t{rank} * count);
    for (uint32_t k = thread(); k < count; k += kThreads) copy_async(to + k, from + k);
    to += count;
  }
}

// The job's rows, added up by groups of threads, each of which has four columns. -> all peers' x
template <uint32_t kPeers>
AUSPEX_DEVICE void gather(const NetworkView& network, const Job& job, uint32_t rank,
                          const SingleShared& s, bool peers_started) {
  const InputLayer& input = network.input;
  const uint32_t share = input.width / kPeers, items = job.row_count + kNumbers;
  for (uint32_t begin = 0; begin < share; begin += kThreads * 4) {  // [0, share)
    const uint32_t columns = share - begin < kThreads * 4 ? share - begin : kThreads * 4;
    const uint32_t quads = columns / 4, groups = kThreads / quads;
    const uint32_t group = thread() / quads;
    const uint32_t column = rank * share + begin + thread() % quads * 4;
    float sum[4] = {};
    if (group < groups) {
      float scale[4] = {};
      if (is_integer(input.format)) {
        for (uint32_t k = 0; k < 4; ++k) scale[k] = fetch(input.scale + column + k);
      }
      for (uint32_t item = group; item < items; item += groups) {
        if (item < job.row_count) {
          add_elements<4>(input.format, one_hot_row(input, job.rows[item], column), scale, sum);
        } else {
          const uint32_t number = item - job.row_count;
          float weight[4] = {};
          add_elements<4>(number_format(input.format), number_row(input, number, column), nullptr,
                          weight);
          for (uint32_t k = 0; k < 4; ++k) sum[k] += job.numbers[number] * weight[k];
        }
      }
      for (uint32_t k = 0; k < 4; ++k) s.partial[group * columns + thread() % quads * 4 + k] = sum[k];
    }
    sync_threads();
    if (!peers_started) wait_peers();
    peers_started = true;
    for (uint32_t i = thread(); i < columns; i += kThreads) {
      const uint32_t at = rank * share + begin + i;
      float value = fetch(input.bias + at);
      for (uint32_t g = 0; g < groups; ++g) value += s.partial[g * columns + i];
      if (input.relu) value = is_finite(value) ? positive(value) : value;
      tell<kPeers>(s, s.x, network.column[0].format, at, value);
    }
    sync_threads();
  }
}

template <uint32_t kPeers>
AUSPEX_DEVICE void single_body(const SingleParams& p, char* shared) {
  // Shapes: jobs [samples] -> outputs [samples][outputs]; block in [0, kPeers * samples)
  const NetworkView& network = p.network;
  const uint32_t rank = block() % kPeers, sample = block() / kPeers;
  const SingleShared s = single_shared(shared, p.widest);
  for (uint32_t i = thread(); i < 2 * p.widest; i += kThreads) s.x[i] = 0;
  if (thread() == 0) s.lost[0] = 0;
  arrive_peers();
  if (p.staged) stage_weights<kPeers>(network, rank, s.weights);
  gather<kPeers>(network, p.jobs[sample], rank, s, false);
  wait_copies();
  arrive_peers();
  wait_peers();

  const Words* staged = s.weights;
  for (uint32_t i = 0; i + 1 < network.layers; ++i) {
    const ColumnLayer& layer = network.column[i];
    const uint32_t share = layer.columns / kPeers;  // a multiple of four
    const Words* const weights =
        p.staged ? staged : layer.weights + size_t{rank} * share * layer.chunks;
    staged += share * layer.chunks;
    for (uint32_t four = warp() * 4; four < share; four += kWarps * 4) {  // [0, share)
      const uint32_t own = four + lane() / 8, column = rank * share + own;
      float value = column_sum(layer, weights + size_t{own} * layer.chunks, column, s.x + i % 2 * p.widest);
      if (lane() % 8 != 0) continue;
      if (is_integer(layer.format)) value *= fetch(layer.scale + column);
      value += fetch(layer.bias + column);
      if (layer.relu) value = is_finite(value) ? positive(value) : value;
      tell<kPeers>(s, s.x + (i + 1) % 2 * p.widest, network.column[i + 1].format, column, value);
    }
    arrive_peers();
    wait_peers();
  }
  if (rank > 0) return;

  const uint32_t last = network.layers - 1;
  const ColumnLayer& layer = network.column[last];
  const Words* const weights = p.staged ? staged : layer.weights;
  for (uint32_t four = warp() * 4; four < layer.columns; four += kWarps * 4) {
    const uint32_t column = four + lane() / 8;
    float value = column_sum(layer, weights + size_t{column} * layer.chunks, column,
                             s.x + last % 2 * p.widest);
    if (lane() % 8 != 0 || column >= network.outputs) continue;
    if (is_integer(layer.format)) value *= fetch(layer.scale + column);
    value += fetch(layer.bias + column);
    if (layer.relu) value = positive(value);
    p.outputs[size_t{sample} * network.outputs + column] = s.lost[0] ? not_a_number() : value;
  }
  sync_threads();
  if (thread() == 0) publish(p.done + sample, p.ticket);
}

}  // namespace auspex::cuda
