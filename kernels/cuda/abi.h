// SPDX-License-Identifier: Apache-2.0
// What libauspex_cuda.so, loaded only where there is a driver, and the programs that load it say to
// each other. Plain types: the two may come from different compilers.
//
// Errors: each function returns what is wrong, in words that stay until this thread's next call, or
// nullptr.
#pragma once

#include "kernels/cuda/network_view.h"

namespace auspex::cuda {

// Changes whenever anything in this file or in EncodedJob does.
inline constexpr uint32_t kAbiVersion = 5;
inline constexpr char kModuleFile[] = "libauspex_cuda.so";
inline constexpr char kEntryName[] = "auspex_cuda_module";

struct AbiLayer {
  uint32_t inputs, outputs;
  const float* weights;  // Shape: [inputs][outputs]
  const float* bias;     // Shape: [outputs]
  bool relu;
  Format format;
};
struct AbiModel {
  const AbiLayer* layers;
  uint32_t count;
  uint32_t number_rows;  // the first layer's last inputs
  bool dense;            // the one-hot as it is: all its rows are multiplied
  bool persistent;       // single samples by a kernel that stays on the card
};
// Of each node of a graph the neighbours, one node's behind the other's.
struct AbiGraph {
  uint32_t nodes;
  const uint32_t* begins;      // Shape: [nodes + 1]; where they begin, and the last ones end
  const uint32_t* neighbours;  // Shape: [begins[nodes]]
};
struct AbiCard {
  char name[128];
};
struct AbiNetwork;

struct AbiModule {
  uint32_t version;
  // Takes the first card; once.
  const char* (*open)(AbiCard* card);
  const char* (*load)(const AbiModel* model, AbiNetwork** network);
  void (*unload)(AbiNetwork* network);
  // jobs: [count] -> outputs [count][outputs]. Threads: any number at once.
  const char* (*predict)(AbiNetwork* network, const Job* jobs, size_t count, float* outputs);
  // The card's own microseconds for each of `runs` launches over `count` jobs that it has already.
  const char* (*measure)(AbiNetwork* network, const Job* jobs, size_t count, uint32_t runs,
                         float* us);
  // Memory of the host, zeroes, that the card reads and writes where it lies: of a batch whose jobs
  // and outputs lie in it predict() copies nothing.
  const char* (*take_room)(size_t bytes, void** memory);
  void (*give_room)(void* memory);
  // The operations of a graph network. x and y are finite and the host's, and are copied.
  // x [nodes][columns] -> y [nodes][columns]: of each node the mean of its neighbours' rows; zeros
  // where it has none.
  const char* (*mean)(const AbiGraph* graph, const float* x, uint32_t columns, float* y);
  // x [rows][inputs] -> y [rows][outputs]: times the layer's weights, plus its bias, with its ReLU.
  // In FP32, TF32, BF16 or FP16, into which x is rounded; sums are FP32.
  const char* (*multiply)(const AbiLayer* layer, const float* x, uint32_t rows, float* y);
};
using Entry = const AbiModule* (*)();

}  // namespace auspex::cuda
