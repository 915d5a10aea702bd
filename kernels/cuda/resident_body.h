// SPDX-License-Identifier: Apache-2.0
// The whole network for one sample after the other, by a kernel that stays: its weights lie in
// shared memory all the time, and a request is no launch.
#pragma once

#include "kernels/cuda/single_body.h"

namespace auspex::cuda {

// What is asked as request `number` -> every block's `asked`; that they leave, if nothing is for
// too long. A warp of one block does it for all: no two may decide differently.
template <uint32_t kPeers>
AUSPEX_DEVICE void receive(const ResidentParams& p, uint32_t number, uint32_t* asked) {
  const bool own = lane() < kAskedWords;
  const uint64_t* const from = p.asked + (own ? lane() : 0);
  const uint64_t since = clock_ns();
  bool there = false, late = false;
  uint64_t word = 0;
  while (!there && !late) {
    word = look(from);
    there = all_lanes(word >> 32 == number);
    late = !all_lanes(clock_ns() - since < p.idle_ns);
  }
  const uint32_t told = there ? static_cast<uint32_t>(word) : static_cast<uint32_t>(kLeave);
  if (!own) return;
  AUSPEX_UNROLL()
  for (uint32_t peer = 0; peer < kPeers; ++peer) put(asked, peer, lane(), told);
}

template <uint32_t kPeers>
AUSPEX_DEVICE void resident_body(const ResidentParams& p, char* shared) {
  // Shapes: asked [kAskedWords] -> output [outputs], again and again; block in [0, kPeers)
  const uint32_t rank = block();
  auto* const asked = reinterpret_cast<uint32_t*>(shared);  // Shape: [kAskedWords]
  const SingleShared s = single_shared(shared + kAskedBytes, p.widest, p.own_columns);
  stage<kPeers>(p, rank, s);
  wait_copies();
  arrive_peers();  // nobody writes to a block that is not there
  wait_peers();
  for (uint32_t number = p.first;; ++number) {
    sync_threads();  // the last layer has read its inputs
    clear_inputs(p, s);
    if (rank == 0 && warp() == 0) receive<kPeers>(p, number, asked);
    arrive_peers();
    wait_peers();
    if (asked[kAskedWords - 1] == kLeave) return;
    arrive_peers();  // gather() waits
    gather<kPeers>(p, *reinterpret_cast<const Job*>(asked), rank, s);
    arrive_peers();
    wait_peers();
    run_layers<kPeers>(p, rank, 0, s);
  }
}

}  // namespace auspex::cuda
