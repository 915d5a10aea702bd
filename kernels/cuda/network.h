// SPDX-License-Identifier: Apache-2.0
// A network on the card: its weights, and lanes through which threads ask it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/cuda/abi.h"
#include "kernels/cuda/pack.h"
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
  // What one thread at a time has.
  struct Lane {
    Stream* stream = nullptr;
    Job* jobs = nullptr;  // Shape: [kMostJobs]; of the host, as the card sees them behind it
    float* outputs = nullptr;
    uint32_t* done = nullptr;
    Job* device_jobs = nullptr;
    float* device_outputs = nullptr;
    uint32_t* device_done = nullptr;
    SingleParams single;
    TileParams tiles;
    uint32_t ticket = 0;
  };
  class Borrowed;

  explicit Network(const Card& card) : card_(card) {}
  const char* place(const AbiModel& model);
  const char* place_input(const AbiLayer& layer, uint32_t number_rows);
  const char* place_layer(const AbiLayer& layer, uint32_t at);
  const char* lay_out();
  template <class T>
  const char* send(const std::vector<T>& values, const void** to);

  const char* open_lane(Lane& lane) const;
  const char* run_singles(Lane& lane, const Job* jobs, size_t count, float* outputs) const;
  const char* run_tiles(Lane& lane, const Job* jobs, size_t count, float* outputs) const;
  const char* launch(const SingleParams& single, size_t count, const Lane& lane) const;
  const char* launch(const TileParams& tiles, const Lane& lane) const;
  const char* wait(const Lane& lane, size_t singles) const;
  uint32_t tile_for(size_t count) const;

  Card card_;
  NetworkView view_;
  uint32_t widest_ = 0, x_stride_ = 0, y_stride_ = 0;
  size_t staged_bytes_ = 0;
  bool staged_ = false;
  std::vector<void*> memory_;

  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::vector<Lane*> free_;
};

}  // namespace auspex::cuda
