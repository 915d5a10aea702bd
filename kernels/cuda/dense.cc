// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/dense.h"

#include <algorithm>

#include "kernels/cuda/pack.h"
#include "kernels/packed.h"

namespace auspex::cuda {
namespace {

// Coarser than INT8 it is not, as no first layer is.
Format dense_format(Format format) {
  return is_integer(format) ? Format::kInt8 : format;
}

}  // namespace

const char* Dense::load(const Card& card, const AbiLayer& layer, uint32_t number_rows,
                        uint32_t width, std::unique_ptr<Dense>& dense) {
  if (std::max(dense_bytes(kDenseFew), dense_bytes(kDenseMany)) > card.shared_bytes) {
    return "a dense input is more than a block's memory";
  }
  dense = std::make_unique<Dense>();
  const LayerView one_hot = {layer.inputs - number_rows,
                             layer.outputs,
                             layer.weights,
                             layer.bias,
                             false,
                             Precision::kFp32};
  TileLayer& to = dense->layer_;
  to.format = dense_format(layer.format);
  const PackedLayer packed = pack_tiles(one_hot, to.format, kInputStep);
  if (packed.columns != width) return "a dense input of another width";
  to.columns = packed.columns;
  to.steps = packed.length;
  dense->processors_ = card.processors;
  const void *weights, *scale;
  for (const char* error :
       {dense->memory_.send(packed.weights, &weights), dense->memory_.send(packed.scale, &scale)}) {
    if (error) return error;
  }
  to.weights = static_cast<const Words*>(weights);
  to.scale = static_cast<const float*>(scale);
  return nullptr;
}

// As many parts as leave no multiprocessor without a block, and none of them empty.
DenseParams Dense::params_of(uint32_t tile, uint32_t count, const Room& room) const {
  DenseParams params;
  params.layer = layer_;
  params.count = count;
  params.samples = padded(count, tile);
  const uint32_t blocks = params.samples / tile * dense_across(layer_, tile);
  params.parts = std::clamp(processors_ / blocks, 1U, std::min(kMostRows, layer_.steps));
  params.sums = room.sums;
  return params;
}

// Of several parts there are only where their blocks are no more than the multiprocessors.
const char* Dense::open(size_t most, CardMemory& memory, Room& room) const {
  size_t sums = padded(static_cast<uint32_t>(most), kDenseMany) * size_t{layer_.columns};
  for (const uint32_t tile : {kDenseFew, kDenseMany}) {
    sums = std::max(sums, size_t{processors_} * tile * dense_columns(tile));
  }
  if (const char* error = memory.take(sums, &room.sums)) return error;
  if (const char* error = memory.take(most, &room.jobs)) return error;
  return memory.take(most, &room.jobs_behind);
}

const char* Dense::launch_few(Job* jobs, uint32_t count, const Room& room, Stream* stream) const {
  DenseParams params = params_of(kDenseFew, count, room);
  std::copy_n(jobs, count, params.few);
  for (uint32_t i = 0; i < count; ++i) {
    for (uint32_t k = 0; k < kMostRows; ++k) jobs[i].rows[k] = k * params.samples + i;
    jobs[i].row_count = params.parts;
  }
  return launch_dense(params, kDenseFew, stream);
}

const char* Dense::launch(const Job* jobs, uint32_t count, const Room& room, Stream* stream) const {
  DenseParams params = params_of(kDenseMany, count, room);
  params.jobs = jobs;
  params.jobs_behind = room.jobs_behind;
  return launch_dense(params, kDenseMany, stream);
}

}  // namespace auspex::cuda
