// SPDX-License-Identifier: Apache-2.0
// The functions of libauspex_cuda.so. Nothing is thrown out of them.
#include <cstdio>
#include <exception>

#include "kernels/cuda/graph.h"
#include "kernels/cuda/network.h"
#include "kernels/cuda/shared_room.h"

namespace auspex::cuda {
namespace {

static_assert(sizeof(Job) == sizeof(EncodedJob) && kMostRows == kCategoryCount &&
              kNumbers == kNumberCount);

Card g_card;
const char kNoMemory[] = "the host's memory is exhausted";

template <class Function>
const char* guarded(Function&& function) noexcept {
  try {
    return function();
  } catch (const std::exception&) {  // std::bad_alloc is all there is
    return kNoMemory;
  }
}

Network* network_of(AbiNetwork* handle) {
  return reinterpret_cast<Network*>(handle);
}

const AbiModule kModule = {
    kAbiVersion,
    [](AbiCard* card) {
      const char* const error = open_card(g_card);
      std::snprintf(card->name, sizeof card->name, "%s", g_card.name);
      return error;
    },
    [](const AbiModel* model, AbiNetwork** handle) {
      return guarded([&] {
        const Rest rest;
        if (rest.error()) return rest.error();
        std::unique_ptr<Network> network;
        const char* const error = Network::load(g_card, *model, network);
        *handle = reinterpret_cast<AbiNetwork*>(network.release());
        return error;
      });
    },
    [](AbiNetwork* handle) {
      // What a card holds on to is lost with it.
      if (const Rest rest; !rest.error()) delete network_of(handle);
    },
    [](AbiNetwork* handle, const Job* jobs, size_t count, float* outputs) {
      return guarded([&] { return network_of(handle)->predict(jobs, count, outputs); });
    },
    [](AbiNetwork* handle, const Job* jobs, size_t count, uint32_t runs, float* us) {
      return guarded([&] { return network_of(handle)->measure(jobs, count, runs, us); });
    },
    [](size_t bytes, void** memory) {
      return guarded([&] {
        const Rest rest;
        return rest.error() ? rest.error() : take_room(bytes, memory);
      });
    },
    [](void* memory) {
      if (const Rest rest; !rest.error()) give_room(memory);
    },
    [](const AbiGraph* graph, const float* x, uint32_t columns, float* y) {
      return guarded([&] { return mean_of_neighbours(g_card, *graph, x, columns, y); });
    },
    [](const AbiLayer* layer, const float* x, uint32_t rows, float* y) {
      return guarded([&] { return multiply(g_card, *layer, x, rows, y); });
    },
};

}  // namespace
}  // namespace auspex::cuda

extern "C" __attribute__((visibility("default"))) const auspex::cuda::AbiModule*
auspex_cuda_module() {
  return &auspex::cuda::kModule;
}
