// SPDX-License-Identifier: Apache-2.0
// A network's launches, and the wait for what they answer.
#include <algorithm>
#include <chrono>
#include <cstring>

#include "kernels/cuda/network.h"

namespace auspex::cuda {
namespace {

// A dense input may be a hundred milliseconds of work.
constexpr std::chrono::milliseconds kDensePatience{5000};
// At the outputs, between looks at whether the card has failed.
constexpr uint32_t kLooks = 64;
// Source: ours. Fewer jobs are not worth a launch of their own.
constexpr size_t kLeastPart = 2048;

bool never() {
  return false;
}

}  // namespace

// A batch as several launches.
struct Network::Parts {
  explicit Parts(size_t jobs)
      : all(jobs),
        count(std::clamp<size_t>(jobs / kLeastPart, 1, kParts)),
        each((jobs + count - 1) / count) {}
  size_t first(size_t part) const { return part * each; }
  size_t size(size_t part) const { return std::min(each, all - first(part)); }
  size_t all, count, each;
};

const char* Network::launch(Lane& lane, const Job* jobs, size_t count) const {
  const auto samples = static_cast<uint32_t>(count);
  Job* const to = count == 1 ? lane.single.jobs : lane.singles.jobs;
  std::memcpy(to, jobs, count * sizeof(Job));
  if (dense_) {
    const char* const error = dense_->launch_few(to, samples, lane.rooms[0], lane.streams[0]);
    if (error) return error;
  }
  if (count == 1) return launch_single(lane.single, card_.peers, single_bytes_, lane.streams[0]);
  return launch_singles(lane.singles, samples, card_.peers, single_bytes_, lane.streams[0]);
}

const char* Network::launch(TileParams& tiles, uint32_t tile, const Dense::Room& room,
                            Stream* stream) const {
  if (dense_) {
    if (const char* error = dense_->launch(tiles.jobs, tiles.count, room, stream)) return error;
    tiles.jobs = room.jobs_behind;
    tiles.input.rows = room.sums;
  }
  return launch_tiles(tiles, tile, tile_bytes(tiles, tile), stream);
}

const char* Network::run_singles(Lane& lane, const Job* jobs, size_t count, float* outputs) const {
  const size_t values = count * single_.outputs;
  auto* const words = reinterpret_cast<uint32_t*>(lane.outputs);
  std::fill_n(words, values, kPending);
  if (const char* error = launch(lane, jobs, count)) return error;
  // Each word comes by itself: they are there when none is what it was.
  const volatile uint32_t* const shown = words;
  size_t there = 0;
  const auto done = [&] {
    while (there < values && shown[there] != kPending) ++there;
    return there == values;
  };
  if (const char* error = wait(lane.streams[0], done)) return error;
  std::memcpy(outputs, lane.outputs, values * sizeof(float));
  return nullptr;
}

// In parts, so that the card computes while the host copies.
const char* Network::run_tiles(Lane& lane, const Job* jobs, size_t count, float* outputs) const {
  const Parts parts(count);
  const uint32_t tile = tile_for(count);
  for (size_t part = 0; part < parts.count; ++part) {
    const size_t first = parts.first(part), own = parts.size(part);
    std::memcpy(lane.jobs + first, jobs + first, own * sizeof(Job));
    lane.tiles.jobs = lane.device_jobs + first;
    lane.tiles.output = lane.device_outputs + first * tiles_.outputs;
    lane.tiles.count = static_cast<uint32_t>(own);
    if (dense_) {  // which reads them often
      Stream* const stream = lane.streams[part];
      Job* const there = lane.rooms[part].jobs;
      if (const char* error = copy(there, lane.tiles.jobs, own * sizeof(Job), stream)) {
        return error;
      }
      lane.tiles.jobs = there;
    }
    if (const char* error = launch(lane.tiles, tile, lane.rooms[part], lane.streams[part])) {
      return error;
    }
  }
  for (size_t part = 0; part < parts.count; ++part) {
    if (const char* error = wait(lane.streams[part], never)) return error;
    const size_t first = parts.first(part) * tiles_.outputs;
    std::memcpy(outputs + first, lane.outputs + first,
                parts.size(part) * tiles_.outputs * sizeof(float));
  }
  return nullptr;
}

// jobs, outputs: as the card sees them. In parts, so that it computes while others' jobs come.
const char* Network::run_in_place(Lane& lane, const Job* jobs, size_t count, float* outputs) const {
  const Parts parts(count);
  const uint32_t tile = tile_for(count);
  for (size_t part = 0; part < parts.count; ++part) {
    lane.tiles.jobs = jobs + parts.first(part);
    lane.tiles.output = outputs + parts.first(part) * tiles_.outputs;
    lane.tiles.count = static_cast<uint32_t>(parts.size(part));
    const char* const error = launch(lane.tiles, tile, lane.rooms[part], lane.streams[part]);
    if (error) return error;
  }
  for (size_t part = 0; part < parts.count; ++part) {
    if (const char* error = wait(lane.streams[part], never)) return error;
  }
  return nullptr;
}

// Until `done` says so, or the stream has come to its end.
template <class Done>
const char* Network::wait(Stream* stream, const Done& done) const {
  std::chrono::milliseconds patience(card_.patience_ms);
  if (dense_) patience = std::max(patience, kDensePatience);
  const auto late = std::chrono::steady_clock::now() + patience;
  while (true) {
    for (uint32_t look = 0; look < kLooks; ++look) {
      if (done()) return nullptr;
    }
    bool ended = false;
    if (const char* error = ask(stream, &ended)) return error;
    if (ended) return nullptr;
    if (std::chrono::steady_clock::now() > late) return "the card does not answer";
  }
}

// The smallest that leaves no multiprocessor without a block, among those that fit.
uint32_t Network::tile_for(size_t count) const {
  uint32_t best = kTiles[0];
  for (const uint32_t tile : kTiles) {
    if (tile_bytes(tiles_, tile) > card_.shared_bytes) break;
    best = tile;
    if (count <= size_t{tile} * card_.processors) break;
  }
  return best;
}

}  // namespace auspex::cuda
