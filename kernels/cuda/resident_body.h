// SPDX-License-Identifier: Apache-2.0
// The whole network for one sample after the other, by a kernel that stays: its weights lie in
// shared memory all the time, and a request is no launch.
#pragma once

#include "kernels/cuda/single_body.h"

namespace auspex::cuda {

// What is asked as request `number` -> every block's `asked`, through its gate; that they leave, if
// nothing is for too long. A warp of one block does it for all: no two may decide differently.
template <uint32_t kPeers>
AUSPEX_DEVICE void receive(const ResidentParams& p, uint32_t number, uint32_t* asked,
                           uint64_t* gate) {
  const bool own = lane() < kAskedWords;
  const uint64_t* const from = p.asked + (own ? lane() : 0);
  const uint64_t since = clock_ns();
  uint32_t told = kLeave;
  while (true) {
    const uint64_t word = look(from);
    if (all_lanes(word >> 32 == number)) {
      told = static_cast<uint32_t>(word);
      break;
    }
    if (!all_lanes(clock_ns() - since < p.idle_ns)) break;
  }
  if (!own) return;
  AUSPEX_UNROLL()
  for (uint32_t peer = 0; peer < kPeers; ++peer) send(asked, peer, lane(), told, gate);
}

template <uint32_t kPeers>
AUSPEX_DEVICE void resident_body(const ResidentParams& p, char* shared) {
  // Shapes: asked [kAskedWords] -> output [outputs], again and again; block in [0, kPeers)
  const uint32_t rank = block();
  auto* const asked = reinterpret_cast<uint32_t*>(shared);  // Shape: [kAskedWords]
  auto* const gate = reinterpret_cast<uint64_t*>(shared + kAskedGateAt);
  const SingleShared s = single_shared(shared + kAskedBytes, p.widest, p.own_columns);
  if (thread() == 0) {
    make_gate(gate);
    make_gates(p, s);
  }
  stage<kPeers>(p, rank, s);
  wait_copies();
  arrive_peers();  // nobody sends to a block that is not there
  wait_peers();
  for (uint32_t number = p.first;; ++number) {
    const uint32_t turn = number - p.first;
    sync_threads();  // all have passed the gates of the request before
    if (thread() == 0) {
      announce(gate, kAskedWords * sizeof(uint32_t));
      announce_all<kPeers>(p, rank, s);
    }
    if (rank == 0 && warp() == 0) receive<kPeers>(p, number, asked, gate);
    pass(gate, turn);
    if (asked[kAskedWords - 1] == kLeave) return;
    gather<kPeers>(p, *reinterpret_cast<const Job*>(asked), rank, s, [] {});
    run_layers<kPeers>(p, rank, 0, turn, s);
  }
}

}  // namespace auspex::cuda
