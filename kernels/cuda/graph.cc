// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/graph.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <utility>

#include "kernels/cuda/card_memory.h"
#include "kernels/cuda/graph_view.h"
#include "kernels/cuda/pack.h"
#include "kernels/cuda/resident.h"

namespace auspex::cuda {
namespace {

// A large graph's products take milliseconds.
constexpr std::chrono::milliseconds kPatience{5000};

// What a call takes of the card; its output lies in the host's memory.
struct Held {
  CardMemory memory;
  Stream* stream = nullptr;
  void* output = nullptr;

  Held() = default;
  ~Held() {
    if (stream) close_stream(stream);
    if (output) release_shared(output);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

  const char* open(size_t values, float** device) {
    if (const char* error = open_stream(&stream)) return error;
    void* there = nullptr;
    const char* const error = allocate_shared(values * sizeof(float), &output, &there);
    *device = static_cast<float*>(there);
    return error;
  }
};

// Of a card that has failed nothing is given back: it may not return from that.
const char* answer_of(const Card& card, std::unique_ptr<Held> held, size_t values, float* y) {
  const std::chrono::milliseconds own(card.patience_ms);
  const auto late = std::chrono::steady_clock::now() + std::max(own, kPatience);
  const char* error = nullptr;
  for (bool ended = false; !ended && !error;) {
    error = ask(held->stream, &ended);
    if (!ended && std::chrono::steady_clock::now() > late) error = "the card does not answer";
  }
  if (error) {
    static_cast<void>(held.release());
    return error;
  }
  std::memcpy(y, held->output, values * sizeof(float));
  return nullptr;
}

template <class T>
const char* send(CardMemory& memory, const T* values, size_t count, const T** to) {
  T* there = nullptr;
  if (const char* error = memory.take(std::max<size_t>(count, 1), &there)) return error;
  *to = there;
  return count > 0 ? upload(there, values, count * sizeof(T)) : nullptr;
}

const char* fault_of(const AbiGraph& graph) {
  if (graph.begins[0] != 0) return "a graph whose first neighbour is not the first";
  if (!std::is_sorted(graph.begins, graph.begins + graph.nodes + 1)) {
    return "a graph whose neighbours do not lie in the order of its nodes";
  }
  const auto beyond = [&](uint32_t node) { return node >= graph.nodes; };
  const uint32_t* const end = graph.neighbours + graph.begins[graph.nodes];
  if (std::any_of(graph.neighbours, end, beyond)) return "a neighbour that is no node of its graph";
  return nullptr;
}

}  // namespace

const char* mean_of_neighbours(const Card& card, const AbiGraph& graph, const float* x,
                               uint32_t columns, float* y) {
  if (const char* fault = fault_of(graph)) return fault;
  const size_t values = size_t{graph.nodes} * columns;
  if (values == 0) return nullptr;
  const Rest rest;
  if (rest.error()) return rest.error();
  auto held = std::make_unique<Held>();
  MeanParams params;
  params.nodes = graph.nodes;
  params.columns = columns;
  for (const char* error :
       {send(held->memory, graph.begins, size_t{graph.nodes} + 1, &params.begins),
        send(held->memory, graph.neighbours, graph.begins[graph.nodes], &params.neighbours),
        send(held->memory, x, values, &params.x), held->open(values, &params.y)}) {
    if (error) return error;
  }
  if (const char* error = launch_mean(params, held->stream)) return error;
  return answer_of(card, std::move(held), values, y);
}

const char* multiply(const Card& card, const AbiLayer& layer, const float* x, uint32_t rows,
                     float* y) {
  if (is_integer(layer.format)) return "a product of matrices is FP32, TF32, BF16 or FP16";
  if (beyond_fp16(layer)) return "weights beyond the range of FP16";
  if (dense_bytes(kDenseMany) > card.shared_bytes) {
    return "a product of matrices is more than a block's memory";
  }
  const size_t values = size_t{rows} * layer.outputs;
  if (values == 0) return nullptr;
  const Rest rest;
  if (rest.error()) return rest.error();
  auto held = std::make_unique<Held>();
  ProductParams params;
  const PackedLayer packed = pack_tiles(view_of(layer), layer.format);
  params.layer.format = layer.format;
  params.layer.relu = layer.relu;
  params.layer.steps = packed.length;
  params.layer.columns = packed.columns;
  params.rows = rows;
  params.inputs = layer.inputs;
  params.outputs = layer.outputs;
  const void *weights, *bias;
  for (const char* error :
       {held->memory.send(packed.weights, &weights), held->memory.send(packed.bias, &bias),
        send(held->memory, x, size_t{rows} * layer.inputs, &params.x),
        held->open(values, &params.y)}) {
    if (error) return error;
  }
  params.layer.weights = static_cast<const Words*>(weights);
  params.layer.bias = static_cast<const float*>(bias);
  if (const char* error = launch_product(params, held->stream)) return error;
  return answer_of(card, std::move(held), values, y);
}

}  // namespace auspex::cuda
