// SPDX-License-Identifier: Apache-2.0
// A network on the card: its weights, and lanes through which threads ask it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/cuda/abi.h"
#include "kernels/cuda/card_memory.h"
#include "kernels/cuda/dense.h"
#include "kernels/cuda/pack.h"
#include "kernels/cuda/resident.h"
#include "kernels/cuda/runtime.h"

namespace auspex::cuda {

class Network {
 public:
  // Errors: what the kernels cannot do; what the card says.
  static const char* load(const Card& card, const AbiModel& model,
                          std::unique_ptr<Network>& network);
  ~Network();

  // Errors: what the card says; that it does not answer. Threads: any number at once.
  const char* predict(const Job* jobs, size_t count, float* outputs);

  // See AbiModule.
  const char* measure(const Job* jobs, size_t count, uint32_t runs, float* us);

 private:
  // Parts of a large batch that are copied and computed at the same time.
  static constexpr size_t kParts = 4;
  struct Parts;
  // Jobs that a lane has room for.
  static constexpr size_t kMostJobs = 16384;
  // What one thread at a time has.
  struct Lane {
    Stream* streams[kParts] = {};
    void* memory = nullptr;    // of the host; all below lies in it
    Job* jobs = nullptr;       // Shape: [kMostJobs]
    float* outputs = nullptr;  // Shape: [kMostJobs][outputs]
    Job* device_jobs = nullptr;
    float* device_outputs = nullptr;
    SingleParams<1> single;
    SingleParams<kMostSingles> singles;
    TileParams tiles;
    CardMemory card;
    Dense::Room rooms[kParts];  // of a dense input alone
  };
  class Borrowed;

  explicit Network(const Card& card) : card_(card) {}
  const char* place(const AbiModel& model);
  const char* place_input(const AbiLayer& layer, uint32_t number_rows, bool dense);
  const char* place_layer(const AbiLayer& layer, uint32_t at);
  const char* lay_out(bool persistent);

  const char* open_lane(Lane& lane) const;
  const char* run_singles(Lane& lane, const Job* jobs, size_t count, float* outputs) const;
  const char* run_tiles(Lane& lane, const Job* jobs, size_t count, float* outputs) const;
  const char* run_in_place(Lane& lane, const Job* jobs, size_t count, float* outputs) const;
  const char* launch(Lane& lane, const Job* jobs, size_t count) const;
  const char* launch(TileParams& tiles, uint32_t tile, const Dense::Room& room,
                     Stream* stream) const;
  template <class Done>
  const char* wait(Stream* stream, const Done& done) const;
  uint32_t tile_for(size_t count) const;

  Card card_;
  SingleParams<1> single_;  // without jobs and outputs
  TileParams tiles_;        // the same
  size_t single_bytes_ = 0, staged_bytes_ = 0;
  CardMemory memory_;
  std::unique_ptr<const Dense> dense_;  // or none: rows are gathered
  std::unique_ptr<Resident> resident_;  // or none: a single sample is a launch

  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<Lane*> free_;
};

}  // namespace auspex::cuda
