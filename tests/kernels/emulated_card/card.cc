// SPDX-License-Identifier: Apache-2.0
// kernels/cuda/runtime.h without a card.
#include "tests/kernels/emulated_card/card.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/cuda/dense_body.h"
#include "kernels/cuda/graph_body.h"
#include "kernels/cuda/resident_body.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/single_body.h"
#include "kernels/cuda/tile_body.h"
#include "tests/kernels/emulated_card/cluster.h"

namespace auspex::emulated {

Settings g_settings;
thread_local Cluster* g_cluster = nullptr;

// Shared memory holds what nobody wrote: NaN as floats.
Cluster::Cluster(uint32_t first, uint32_t count, size_t shared_bytes)
    : first_block(first),
      peers(count),
      shared(count, std::vector<cuda::Words>((shared_bytes + 15) / 16, {{~0U, ~0U, ~0U, ~0U}})),
      blocks(count),
      arrived(size_t{count} * cuda::kThreads),
      warps(size_t{count} * cuda::kWarps),
      copies(size_t{count} * cuda::kThreads) {
  for (auto& block : shared) memory.push_back(reinterpret_cast<char*>(block.data()));
}

namespace {

bool fails(std::atomic<int64_t>& left) {
  int64_t now = left;
  while (now > 0 && !left.compare_exchange_weak(now, now - 1)) {
  }
  return left == 0;
}

const char* refusal(size_t shared_bytes) {
  if (fails(g_settings.launches)) return "unspecified launch failure";
  return shared_bytes > g_settings.shared_bytes ? "too much shared memory" : nullptr;
}

template <class Body>
void run(uint32_t blocks, uint32_t peers, size_t shared_bytes, const Body& body) {
  for (uint32_t first = 0; first < blocks; first += peers) {
    Cluster cluster(first, peers, shared_bytes);
    g_cluster = &cluster;
    Fibers(peers * cuda::kThreads, [&](uint32_t fiber) {
      body(cluster.memory[fiber / cuda::kThreads]);
    }).run();
    g_cluster = nullptr;
  }
}

template <class Body>
const char* launch(uint32_t blocks, uint32_t peers, size_t shared_bytes, const Body& body) {
  if (const char* error = refusal(shared_bytes)) return error;
  if (!g_settings.hangs) run(blocks, peers, shared_bytes, body);
  return nullptr;
}

// Kernels that stay. They end with the process: the leak sanitizer cannot look at threads on
// fibers.
class Staying {
 public:
  ~Staying() {
    g_settings.ends = true;
    for (std::thread& thread : threads_) thread.join();
  }
  void start(std::function<void()> kernel) {
    const std::lock_guard lock(mutex_);
    threads_.emplace_back(std::move(kernel));
  }

 private:
  std::mutex mutex_;
  std::vector<std::thread> threads_;
};
Staying g_staying;

}  // namespace
}  // namespace auspex::emulated

extern "C" __attribute__((visibility("default"))) auspex::emulated::Settings*
auspex_emulated_card() {
  return &auspex::emulated::g_settings;
}

namespace auspex::cuda {

using namespace emulated;

const char* open_card(Card& card) {
  std::snprintf(card.name, sizeof card.name, "emulated card");
  card.processors = g_settings.processors;
  card.shared_bytes = g_settings.shared_bytes;
  card.peers = g_settings.peers;
  card.patience_ms = g_settings.patience_ms;
  card.idle_ms = g_settings.idle_ms;
  return nullptr;
}

const char* allocate(size_t bytes, void** memory) {
  if (fails(g_settings.allocations)) return "out of memory";
  *memory = std::aligned_alloc(16, (bytes + 15) / 16 * 16);
  std::memset(*memory, 0xff, bytes);
  ++g_settings.taken;
  return nullptr;
}
void release(void* memory) {
  std::free(memory);
  --g_settings.taken;
}
const char* upload(void* to, const void* from, size_t bytes) {
  std::memcpy(to, from, bytes);
  return nullptr;
}
const char* allocate_shared(size_t bytes, void** host, void** device) {
  if (const char* error = allocate(bytes, host)) return error;
  std::memset(*host, 0, bytes);
  *device = *host;
  return nullptr;
}
void release_shared(void* host) {
  release(host);
}

// Other launches are done when they return.
struct Stream {
  std::shared_ptr<std::atomic<bool>> stays;  // whether a kernel does
};
const char* open_stream(Stream** stream) {
  *stream = new Stream;
  return nullptr;
}
void close_stream(Stream* stream) {
  while (stream->stays && *stream->stays) std::this_thread::yield();
  delete stream;
}
const char* copy(void* to, const void* from, size_t bytes, Stream*) {
  std::memcpy(to, from, bytes);
  return nullptr;
}

template <uint32_t kJobs>
const char* run_single(const SingleParams<kJobs>& params, uint32_t samples, uint32_t peers,
                       size_t shared_bytes) {
  return launch(samples * peers, peers, shared_bytes, [&](char* shared) {
    peers > 1 ? single_body<kMostPeers>(params, shared) : single_body<1>(params, shared);
  });
}
const char* launch_single(const SingleParams<1>& params, uint32_t peers, size_t shared_bytes,
                          Stream*) {
  return run_single(params, 1, peers, shared_bytes);
}
const char* launch_singles(const SingleParams<kMostSingles>& params, uint32_t samples,
                           uint32_t peers, size_t shared_bytes, Stream*) {
  return run_single(params, samples, peers, shared_bytes);
}

template <uint32_t kTile>
void run_tile(const TileParams& params, char* shared) {
  if (params.input.width <= 512) {
    tile_body<kTile, 1>(params, shared);
  } else {
    tile_body<kTile, 4>(params, shared);
  }
}
const char* launch_tiles(const TileParams& params, uint32_t tile, size_t shared_bytes, Stream*) {
  return launch((params.count + tile - 1) / tile, 1, shared_bytes, [&](char* shared) {
    if (tile == 8) run_tile<8>(params, shared);
    if (tile == 16) run_tile<16>(params, shared);
    if (tile == 32) run_tile<32>(params, shared);
    if (tile == 64) run_tile<64>(params, shared);
  });
}

template <uint32_t kTile>
void run_dense(const DenseParams& params, char* shared) {
  switch (params.layer.format) {
    case Format::kTf32:
      return dense_body<kTile, Format::kTf32>(params, shared);
    case Format::kBf16:
      return dense_body<kTile, Format::kBf16>(params, shared);
    case Format::kFp16:
      return dense_body<kTile, Format::kFp16>(params, shared);
    case Format::kInt8:
      return dense_body<kTile, Format::kInt8>(params, shared);
    default:
      return dense_body<kTile, Format::kFp32>(params, shared);
  }
}
const char* launch_dense(const DenseParams& params, uint32_t tile, Stream*) {
  const uint32_t blocks = params.samples / tile * dense_across(params.layer, tile) * params.parts;
  ++g_settings.dense_launches;
  return launch(blocks, 1, dense_bytes(tile), [&](char* shared) {
    tile == kDenseFew ? run_dense<kDenseFew>(params, shared)
                      : run_dense<kDenseMany>(params, shared);
  });
}

const char* launch_mean(const MeanParams& params, Stream*) {
  return launch(mean_blocks(params), 1, 0, [&](char*) { mean_body(params); });
}
const char* launch_product(const ProductParams& params, Stream*) {
  return launch(product_blocks(params), 1, dense_bytes(kDenseMany), [&](char* shared) {
    switch (params.layer.format) {
      case Format::kTf32:
        return product_body<Format::kTf32>(params, shared);
      case Format::kBf16:
        return product_body<Format::kBf16>(params, shared);
      case Format::kFp16:
        return product_body<Format::kFp16>(params, shared);
      default:
        return product_body<Format::kFp32>(params, shared);
    }
  });
}

const char* launch_resident(const ResidentParams& params, uint32_t peers, size_t shared_bytes,
                            Stream* stream) {
  if (const char* error = refusal(shared_bytes)) return error;
  ++g_settings.resident_launches;
  ++g_settings.residents;
  const auto stays = stream->stays = std::make_shared<std::atomic<bool>>(true);
  g_staying.start([=] {
    run(peers, peers, shared_bytes, [&](char* shared) {
      peers > 1 ? resident_body<kMostPeers>(params, shared) : resident_body<1>(params, shared);
    });
    --g_settings.residents;
    *stays = false;
  });
  return nullptr;
}

const char* ask(Stream* stream, bool* done) {
  std::this_thread::yield();
  *done = !g_settings.hangs && !(stream->stays && *stream->stays);
  return nullptr;
}

struct Timer {
  char nothing;
};
const char* open_timer(Timer** timer) {
  *timer = new Timer;
  return nullptr;
}
void close_timer(Timer* timer) {
  delete timer;
}
const char* start(Timer*, Stream*) {
  return nullptr;
}
const char* stop(Timer*, Stream*, float* us) {
  *us = 0;
  return nullptr;
}

}  // namespace auspex::cuda
