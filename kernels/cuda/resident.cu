// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/launch.h"
#include "kernels/cuda/resident_body.h"

namespace auspex::cuda {
namespace {

extern __shared__ Words shared_memory[];

template <uint32_t kPeers>
__global__ void __launch_bounds__(kThreads, 1)
    resident(const __grid_constant__ ResidentParams params) {
  resident_body<kPeers>(params, reinterpret_cast<char*>(shared_memory));
}

}  // namespace

const char* allow_resident(const Card& card) {
  return text_of(card.peers > 1 ? allow(resident<kMostPeers>, card.shared_bytes)
                                : allow(resident<1>, card.shared_bytes));
}

const char* launch_resident(const ResidentParams& params, uint32_t peers, size_t shared_bytes,
                            Stream* stream) {
  auto* const kernel = peers > 1 ? resident<kMostPeers> : resident<1>;
  return launch(kernel, &params, peers, peers, shared_bytes, stream);
}

}  // namespace auspex::cuda
