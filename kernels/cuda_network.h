// SPDX-License-Identifier: Apache-2.0
// Networks on a GPU. What computes there is a module, libauspex_cuda.so, that is loaded when it is
// first asked for, and only where there is a driver: without one nothing of CUDA enters a process.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/network.h"

namespace auspex {

// The names of what a card computes in, "int8-cuda" and so on; none where there is no card. Loads
// the module: some hundred milliseconds where there is a driver, nothing where there is none.
std::vector<std::string> cuda_backends();

inline constexpr std::string_view kCudaSuffix = "-cuda";
// Behind a name, "int8-cuda-persistent": while it is asked a kernel stays on the card that answers
// single samples without a launch. It holds a cluster of eight multiprocessors (one before compute
// capability 9.0) and keeps the card awake, until five seconds pass without a request. Of a process
// one network at a time stays; nothing chooses it by itself.
inline constexpr std::string_view kPersistentSuffix = "-persistent";
// Whether load_network() takes it for a GPU's: "cuda", the model's own precision, or one with the
// suffix.
bool is_cuda(std::string_view backend);

// The paper's network; of the plan backend and dense_input count. A dense input is FP32, TF32,
// BF16, FP16 or INT8, which INT4 and 2:4 have in their first layers. Should the card fail, then,
// and from then on, every request of this process is answered by the CPU. Errors: why there is no
// card; what of the model it cannot do; an unknown name, and the known ones.
Result<std::shared_ptr<const Network>> cuda_network(std::shared_ptr<const ModelFile> model,
                                                    const Plan& plan);

// Memory of the host, zeroes, that the card reads and writes where it lies: of more than 16 jobs at
// once that lie in such memory, as their outputs do, predict() copies none, but with a dense input.
// Once the card has failed it may still write there: use it no more. Errors: why there is no card;
// what it says.
Result<std::shared_ptr<void>> cuda_room(size_t bytes);

struct CudaState {
  std::string card;     // empty: none, or not asked for yet
  std::string absence;  // why there is none
  std::string fault;    // why it is no longer asked; empty: it is
};
// What has become of it so far; loads nothing. Threads: any.
CudaState cuda_state();
// Whether there is a fault, as cheap as it can be.
bool cuda_failed();

// The card's own microseconds for `runs` launches over jobs that it has already. Errors: as above;
// a network that is not on a card.
Result<std::vector<float>> cuda_times_us(const Network& network, std::span<const EncodedJob> jobs,
                                         uint32_t runs);

}  // namespace auspex
