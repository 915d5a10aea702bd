// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/single_body.h"
#include "kernels/cuda/tile_body.h"

namespace auspex::cuda {
namespace {

extern __shared__ Words shared_memory[];

template <uint32_t kPeers, uint32_t kJobs>
__global__ void __launch_bounds__(kThreads, 1)
    single(const __grid_constant__ SingleParams<kJobs> params) {
  single_body<kPeers>(params, reinterpret_cast<char*>(shared_memory));
}

template <uint32_t kTile, uint32_t kPasses>
__global__ void __launch_bounds__(kThreads, 2) tiles(const __grid_constant__ TileParams params) {
  tile_body<kTile, kPasses>(params, reinterpret_cast<char*>(shared_memory));
}

using TileKernel = void (*)(TileParams);
// A narrow first layer takes one pass.
constexpr uint32_t kNarrow = 512, kWidePasses = kInputMost / kNarrow;
template <uint32_t kTile>
TileKernel tile_kernel(bool narrow) {
  return narrow ? tiles<kTile, 1> : tiles<kTile, kWidePasses>;
}
TileKernel tile_kernel(uint32_t tile, bool narrow) {
  switch (tile) {
    case 8:
      return tile_kernel<8>(narrow);
    case 16:
      return tile_kernel<16>(narrow);
    case 32:
      return tile_kernel<32>(narrow);
    default:
      return tile_kernel<64>(narrow);
  }
}

}  // namespace

const char* open_card(Card& card) {
  int count = 0;
  if (const char* error = text_of(cudaGetDeviceCount(&count))) return error;
  if (count == 0) return "there is no card";
  cudaDeviceProp properties;
  if (const char* error = text_of(cudaGetDeviceProperties(&properties, 0))) return error;
  if (properties.major < 8) return "the card is older than compute capability 8.0";
  if (const char* error = text_of(cudaSetDevice(0))) return error;
  std::snprintf(card.name, sizeof card.name, "%s", properties.name);
  card.processors = static_cast<uint32_t>(properties.multiProcessorCount);
  card.shared_bytes = static_cast<uint32_t>(properties.sharedMemPerBlockOptin);
  card.peers = properties.major >= 9 ? kMostPeers : 1;
  if (const char* ms = std::getenv("AUSPEX_CUDA_PATIENCE_MS")) {
    const auto asked = static_cast<uint32_t>(std::strtoul(ms, nullptr, 10));
    card.patience_ms = asked > card.patience_ms ? asked : card.patience_ms;
  }
  for (const uint32_t tile : kTiles) {
    for (const bool narrow : {false, true}) {
      const cudaError_t status = allow(tile_kernel(tile, narrow), card.shared_bytes);
      if (const char* error = text_of(status)) return error;
    }
  }
  const bool peers = card.peers > 1;
  cudaError_t status = peers ? allow(single<kMostPeers, 1>, card.shared_bytes)
                             : allow(single<1, 1>, card.shared_bytes);
  if (const char* error = text_of(status)) return error;
  status = peers ? allow(single<kMostPeers, kMostSingles>, card.shared_bytes)
                 : allow(single<1, kMostSingles>, card.shared_bytes);
  if (const char* error = text_of(status)) return error;
  if (const char* error = allow_resident(card)) return error;
  return allow_dense();
}

const char* allocate(size_t bytes, void** memory) {
  return text_of(cudaMalloc(memory, bytes));
}
void release(void* memory) {
  cudaFree(memory);
}
// Of pageable memory the copy may return before it has come to the card, and other streams do not
// wait for it.
const char* upload(void* to, const void* from, size_t bytes) {
  if (const char* error = text_of(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice))) {
    return error;
  }
  return text_of(cudaStreamSynchronize(cudaStreamLegacy));
}

const char* allocate_shared(size_t bytes, void** host, void** device) {
  if (const char* error = text_of(cudaHostAlloc(host, bytes, cudaHostAllocMapped))) return error;
  std::memset(*host, 0, bytes);
  return text_of(cudaHostGetDevicePointer(device, *host, 0));
}
void release_shared(void* host) {
  cudaFreeHost(host);
}

const char* open_stream(Stream** stream) {
  return text_of(
      cudaStreamCreateWithFlags(reinterpret_cast<cudaStream_t*>(stream), cudaStreamNonBlocking));
}
void close_stream(Stream* stream) {
  cudaStreamDestroy(reinterpret_cast<cudaStream_t>(stream));
}

const char* copy(void* to, const void* from, size_t bytes, Stream* stream) {
  return text_of(
      cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, reinterpret_cast<cudaStream_t>(stream)));
}

const char* launch_single(const SingleParams<1>& params, uint32_t peers, size_t shared_bytes,
                          Stream* stream) {
  auto* const kernel = peers > 1 ? single<kMostPeers, 1> : single<1, 1>;
  return launch(kernel, &params, peers, peers, shared_bytes, stream);
}

const char* launch_singles(const SingleParams<kMostSingles>& params, uint32_t samples,
                           uint32_t peers, size_t shared_bytes, Stream* stream) {
  auto* const kernel = peers > 1 ? single<kMostPeers, kMostSingles> : single<1, kMostSingles>;
  return launch(kernel, &params, samples * peers, peers, shared_bytes, stream);
}

const char* launch_tiles(const TileParams& params, uint32_t tile, size_t shared_bytes,
                         Stream* stream) {
  return launch(tile_kernel(tile, params.input.width <= kNarrow), &params,
                (params.count + tile - 1) / tile, 1, shared_bytes, stream);
}

const char* ask(Stream* stream, bool* done) {
  const cudaError_t status = cudaStreamQuery(reinterpret_cast<cudaStream_t>(stream));
  *done = status == cudaSuccess;
  return status == cudaErrorNotReady ? nullptr : text_of(status);
}

struct Timer {
  cudaEvent_t begin = nullptr, end = nullptr;
};
const char* open_timer(Timer** timer) {
  *timer = new Timer;
  if (const char* error = text_of(cudaEventCreate(&(*timer)->begin))) return error;
  return text_of(cudaEventCreate(&(*timer)->end));
}
void close_timer(Timer* timer) {
  if (timer->begin) cudaEventDestroy(timer->begin);
  if (timer->end) cudaEventDestroy(timer->end);
  delete timer;
}
const char* start(Timer* timer, Stream* stream) {
  return text_of(cudaEventRecord(timer->begin, reinterpret_cast<cudaStream_t>(stream)));
}
const char* stop(Timer* timer, Stream* stream, float* us) {
  if (const char* error =
          text_of(cudaEventRecord(timer->end, reinterpret_cast<cudaStream_t>(stream)))) {
    return error;
  }
  if (const char* error = text_of(cudaEventSynchronize(timer->end))) return error;
  float ms = 0;
  const char* const error = text_of(cudaEventElapsedTime(&ms, timer->begin, timer->end));
  *us = ms * 1000;
  return error;
}

}  // namespace auspex::cuda
