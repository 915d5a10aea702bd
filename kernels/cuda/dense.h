// SPDX-License-Identifier: Apache-2.0
// A first layer whose one-hot is multiplied as it is: its weights on the card, and launches.
// dense_body.h computes it.
#pragma once

#include <memory>

#include "kernels/cuda/abi.h"
#include "kernels/cuda/card_memory.h"

namespace auspex::cuda {

class Dense {
 public:
  // layer: a network's first; width: as its other kernels pad it. Errors: what the card lacks.
  static const char* load(const Card& card, const AbiLayer& layer, uint32_t number_rows,
                          uint32_t width, std::unique_ptr<Dense>& dense);

  // On the card, of one stream.
  struct Room {
    float* sums = nullptr;
    Job* jobs = nullptr;
    Job* jobs_behind = nullptr;
  };
  // For any batch up to `most` jobs; `memory` owns it.
  const char* open(size_t most, CardMemory& memory, Room& room) const;

  // Up to kMostSingles jobs -> room.sums, and in their places those of the kernel behind it.
  const char* launch_few(Job* jobs, uint32_t count, const Room& room, Stream* stream) const;
  // jobs: Shape [count], on the card -> room.sums, room.jobs_behind
  const char* launch(const Job* jobs, uint32_t count, const Room& room, Stream* stream) const;

 private:
  DenseParams params_of(uint32_t tile, uint32_t count, const Room& room) const;

  uint32_t processors_ = 0;
  TileLayer layer_;
  CardMemory memory_;
};

}  // namespace auspex::cuda
