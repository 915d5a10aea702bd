// SPDX-License-Identifier: Apache-2.0
// What the fibers of a cluster share.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "kernels/cuda/network_view.h"
#include "tests/kernels/emulated_card/fibers.h"

namespace auspex::emulated {

struct Cluster {
  struct Barrier {
    uint32_t there = 0;
    uint64_t round = 0;
  };
  struct Warp {
    uint32_t there = 0;
    uint64_t round = 0;
    void* mine[32] = {};
  };
  struct Gate {
    bool announced = false;
    int64_t missing = 0;  // bytes; below zero, sent before they were announced
    uint32_t opened = 0;  // times
    std::vector<std::pair<void*, uint32_t>> sent;
  };
  Cluster(uint32_t first, uint32_t count, size_t shared_bytes);

  uint32_t first_block, peers;
  std::vector<std::vector<cuda::Words>> shared;  // of each block
  std::vector<char*> memory;                     // where it lies
  std::vector<Barrier> blocks;
  Barrier all;
  std::vector<uint64_t> arrived;  // the round, of each fiber
  std::vector<Warp> warps;
  std::map<const void*, Gate> gates;                               // by where they lie
  std::vector<std::vector<std::pair<void*, const void*>>> copies;  // of each fiber, not done
};
// The one that runs.
extern thread_local Cluster* g_cluster;

}  // namespace auspex::emulated
