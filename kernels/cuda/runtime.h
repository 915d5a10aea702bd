// SPDX-License-Identifier: Apache-2.0
// What is asked of the card: memory, launches, and whether they are done. runtime.cu asks CUDA;
// tests/kernels/emulated_card runs the same kernels on the host.
//
// Errors: each returns what is wrong, or nullptr. Threads: any number at once.
#pragma once

#include "kernels/cuda/network_view.h"

namespace auspex::cuda {

struct Card {
  char name[128] = {};
  uint32_t processors = 0;     // multiprocessors
  uint32_t shared_bytes = 0;   // that a block can have
  uint32_t peers = 1;          // blocks of a cluster
  // It takes longer for microseconds of work: it is lost. compute-sanitizer slows a card down, and
  // AUSPEX_CUDA_PATIENCE_MS in the environment gives it more.
  uint32_t patience_ms = 100;
  uint32_t idle_ms = 5000;     // a kernel that stays leaves when nothing was asked for so long
};
const char* open_card(Card& card);

const char* allocate(size_t bytes, void** memory);
void release(void* memory);
const char* upload(void* to, const void* from, size_t bytes);

// Memory of the host that the card reads and writes where it lies.
const char* allocate_shared(size_t bytes, void** host, void** device);
void release_shared(void* host);

struct Stream;
const char* open_stream(Stream** stream);
void close_stream(Stream* stream);
// In its turn. Either may be shared memory, as the card sees it.
const char* copy(void* to, const void* from, size_t bytes, Stream* stream);

// shared_bytes: of a block.
const char* launch_single(const SingleParams<1>& params, uint32_t peers, size_t shared_bytes,
                          Stream* stream);
const char* launch_singles(const SingleParams<kMostSingles>& params, uint32_t samples,
                           uint32_t peers, size_t shared_bytes, Stream* stream);
const char* launch_tiles(const TileParams& params, uint32_t tile, size_t shared_bytes,
                         Stream* stream);
// Ends when it was told to leave, or was not asked for too long.
const char* launch_resident(const ResidentParams& params, uint32_t peers, size_t shared_bytes,
                            Stream* stream);
const char* launch_dense(const DenseParams& params, uint32_t tile, Stream* stream);

// Whether all that was launched has ended.
const char* ask(Stream* stream, bool* done);

// Microseconds between two points of a stream, as the card's clock has them.
struct Timer;
const char* open_timer(Timer** timer);
void close_timer(Timer* timer);
const char* start(Timer* timer, Stream* stream);
// Waits until the stream is there.
const char* stop(Timer* timer, Stream* stream, float* us);

}  // namespace auspex::cuda
