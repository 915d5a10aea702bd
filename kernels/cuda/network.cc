// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/network.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "kernels/packed.h"

namespace auspex::cuda {
namespace {

// Source: ours. Jobs that a lane has room for, and of them those whose copy goes on while the card
// computes those before.
constexpr size_t kMostJobs = 16384, kAtOnce = 4096;
constexpr size_t kMostLanes = 4;
// A card that takes longer for microseconds of work is lost.
constexpr std::chrono::milliseconds kPatience{500};
// Between looks at whether the card has failed.
constexpr uint32_t kLooks = 4096;

LayerView view_of(const AbiLayer& layer) {
  return {layer.inputs, layer.outputs, layer.weights, layer.bias, layer.relu, Precision::kFp32};
}

Format input_format(Format format) {
  switch (format) {
    case Format::kBf16:
    case Format::kFp16:
      return format;
    case Format::kFp32:
    case Format::kTf32:
      return Format::kFp32;
    default:
      return Format::kInt8;
  }
}

}  // namespace

const char* Network::load(const Card& card, const AbiModel& model,
                          std::unique_ptr<Network>& network) {
  network.reset(new Network(card));
  if (const char* error = network->place(model)) {
    network.reset();
    return error;
  }
  return nullptr;
}

Network::~Network() {
  for (const auto& lane : lanes_) {
    if (lane->stream) close_stream(lane->stream);
    if (lane->jobs) release_shared(lane->jobs);
  }
  for (void* const memory : memory_) release(memory);
}

const char* Network::place(const AbiModel& model) {
  if (model.count < 2 || model.count > kMostLayers + 1) return "2 to 9 layers are what it can do";
  if (model.number_rows != kNumbers) return "a first layer with more numbers than six";
  for (uint32_t i = 0; i < model.count; ++i) {
    const bool fed_by_relu = i == 0 || model.layers[i - 1].relu;
    if (i > 0 && is_integer(model.layers[i].format) && !fed_by_relu) {
      return "integers need ReLU before them";
    }
  }
  view_.layers = model.count - 1;
  view_.outputs = model.layers[model.count - 1].outputs;
  if (const char* error = place_input(model.layers[0], model.number_rows)) return error;
  for (uint32_t i = 1; i < model.count; ++i) {
    if (const char* error = place_layer(model.layers[i], i - 1)) return error;
  }
  return lay_out();
}

template <class T>
const char* Network::send(const std::vector<T>& values, const void** to) {
  *to = nullptr;
  if (values.empty()) return nullptr;
  void* memory = nullptr;
  if (const char* error = allocate(values.size() * sizeof(T), &memory)) return error;
  memory_.push_back(memory);
  *to = memory;
  return upload(memory, values.data(), values.size() * sizeof(T));
}

const char* Network::place_input(const AbiLayer& layer, uint32_t number_rows) {
  InputLayer& input = view_.input;
  input.format = input_format(layer.format);
  input.relu = layer.relu;
  const PackedLayer packed = pack_input(view_of(layer), number_rows, input.format);
  input.width = packed.columns;
  if (input.width > kInputMost) return "a first layer wider than 2048";
  widest_ = input.width;
  const void *scale, *bias;
  for (const char* error : {send(packed.weights, &input.rows), send(packed.numbers, &input.numbers),
                            send(packed.scale, &scale), send(packed.bias, &bias)}) {
    if (error) return error;
  }
  input.scale = static_cast<const float*>(scale);
  input.bias = static_cast<const float*>(bias);
  return nullptr;
}

const char* Network::place_layer(const AbiLayer& layer, uint32_t at) {
  const auto fill = [&](auto& view, const PackedLayer& packed) {
    view.format = layer.format;
    view.relu = layer.relu;
    view.columns = packed.columns;
    const void *weights, *places, *scale, *bias;
    for (const char* error : {send(packed.weights, &weights), send(packed.places, &places),
                              send(packed.scale, &scale), send(packed.bias, &bias)}) {
      if (error) return error;
    }
    view.weights = static_cast<const Words*>(weights);
    view.places = static_cast<const uint32_t*>(places);
    view.scale = static_cast<const float*>(scale);
    view.bias = static_cast<const float*>(bias);
    return static_cast<const char*>(nullptr);
  };
  ColumnLayer& column = view_.column[at];
  TileLayer& tile = view_.tile[at];
  const PackedLayer columns = pack_columns(view_of(layer), layer.format);
  const PackedLayer tiles = pack_tiles(view_of(layer), layer.format);
  column.chunks = columns.length;
  tile.steps = tiles.length;
  if (const char* error = fill(column, columns)) return error;
  if (const char* error = fill(tile, tiles)) return error;
  widest_ = std::max({widest_, column.columns, column.chunks * chunk_inputs(column.format)});
  x_stride_ = std::max(x_stride_, padded(tile.steps * kStepBytes, 128) + kStepBytes);
  y_stride_ = std::max(y_stride_, tile.columns + 4);
  const bool last = at + 1 == view_.layers;
  staged_bytes_ += size_t{last ? column.columns : column.columns / card_.peers} * column.chunks *
                   sizeof(Words);
  return nullptr;
}

const char* Network::lay_out() {
  widest_ = padded(widest_, kColumnStep);
  staged_ = single_bytes(widest_) + staged_bytes_ <= card_.shared_bytes;
  if (single_bytes(widest_) > card_.shared_bytes) return "layers too wide for a block's memory";
  TileParams least;
  least.x_stride = x_stride_;
  least.y_stride = y_stride_;
  if (tile_bytes(least, kTiles[0]) > card_.shared_bytes) {
    return "layers too wide for a block's memory";
  }
  return nullptr;
}

const char* Network::open_lane(Lane& lane) const {
  if (const char* error = open_stream(&lane.stream)) return error;
  const size_t outputs = kMostJobs * view_.outputs * sizeof(float);
  void *host = nullptr, *device = nullptr;
  const size_t bytes = kMostJobs * sizeof(Job) + outputs + kMostSingles * sizeof(uint32_t);
  if (const char* error = allocate_shared(bytes, &host, &device)) return error;
  const auto split = [&](void* memory, Job** jobs, float** floats, uint32_t** words) {
    *jobs = static_cast<Job*>(memory);
    *floats = reinterpret_cast<float*>(*jobs + kMostJobs);
    *words = reinterpret_cast<uint32_t*>(*floats + kMostJobs * view_.outputs);
  };
  split(host, &lane.jobs, &lane.outputs, &lane.done);
  split(device, &lane.device_jobs, &lane.device_outputs, &lane.device_done);
  lane.single.network = lane.tiles.network = view_;
  lane.single.outputs = lane.device_outputs;
  lane.single.done = lane.device_done;
  lane.single.widest = widest_;
  lane.single.staged = staged_;
  lane.tiles.x_stride = x_stride_;
  lane.tiles.y_stride = y_stride_;
  return nullptr;
}

// A lane for as long as it lives; waits where all are taken.
class Network::Borrowed {
 public:
  explicit Borrowed(Network& network) : network_(network) {
    std::unique_lock lock(network.mutex_);
    if (network.free_.empty() && network.lanes_.size() < kMostLanes) {
      network.lanes_.push_back(std::make_unique<Lane>());
      lane_ = network.lanes_.back().get();
      lock.unlock();
      error_ = network.open_lane(*lane_);
      return;
    }
    network.returned_.wait(lock, [&] { return !network.free_.empty(); });
    lane_ = network.free_.back();
    network.free_.pop_back();
  }
  ~Borrowed() {
    const std::lock_guard lock(network_.mutex_);
    network_.free_.push_back(lane_);
    network_.returned_.notify_one();
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  const char* error() const { return error_; }
  Lane& lane() const { return *lane_; }

 private:
  Network& network_;
  Lane* lane_;
  const char* error_ = nullptr;
};

const char* Network::predict(const Job* jobs, size_t count, float* outputs) {
  if (count == 0) return nullptr;
  const Borrowed borrowed(*this);
  if (borrowed.error()) return borrowed.error();
  Lane& lane = borrowed.lane();
  if (!lane.jobs) return "the card has failed before";
  if (count <= kMostSingles) return run_singles(lane, jobs, count, outputs);
  for (size_t begin = 0; begin < count; begin += kMostJobs) {
    const size_t part = std::min(kMostJobs, count - begin);
    const char* error = run_tiles(lane, jobs + begin, part, outputs + begin * view_.outputs);
    if (error) return error;
  }
  return nullptr;
}

const char* Network::run_singles(Lane& lane, const Job* jobs, size_t count, float* outputs) const {
  std::memcpy(lane.single.jobs, jobs, count * sizeof(Job));
  lane.single.ticket = ++lane.ticket;
  const char* error = launch(lane.single, count, lane);
  if (!error) error = wait(lane, count);
  if (error) return error;
  std::memcpy(outputs, lane.outputs, count * view_.outputs * sizeof(float));
  return nullptr;
}

const char* Network::run_tiles(Lane& lane, const Job* jobs, size_t count, float* outputs) const {
  for (size_t begin = 0; begin < count; begin += kAtOnce) {
    const size_t part = std::min(kAtOnce, count - begin);
    std::memcpy(lane.jobs + begin, jobs + begin, part * sizeof(Job));
    lane.tiles.jobs = lane.device_jobs + begin;
    lane.tiles.outputs = lane.device_outputs + begin * view_.outputs;
    lane.tiles.count = static_cast<uint32_t>(part);
    if (const char* error = launch(lane.tiles, lane)) return error;
  }
  if (const char* error = wait(lane, 0)) return error;
  std::memcpy(outputs, lane.outputs, count * view_.outputs * sizeof(float));
  return nullptr;
}

const char* Network::launch(const TileParams& tiles, const Lane& lane) const {
  const uint32_t tile = tile_for(tiles.count);
  return launch_tiles(tiles, tile, tile_bytes(tiles, tile), lane.stream);
}

const char* Network::launch(const SingleParams& single, size_t count, const Lane& lane) const {
  const size_t bytes = single_bytes(widest_) + (staged_ ? staged_bytes_ : 0);
  return launch_single(single, static_cast<uint32_t>(count), card_.peers, bytes, lane.stream);
}

const char* Network::measure(const Job* jobs, size_t count, uint32_t runs, float* us) {
  const Borrowed borrowed(*this);
  if (borrowed.error()) return borrowed.error();
  const Lane& lane = borrowed.lane();
  TileParams tiles = lane.tiles;
  std::vector<void*> mine;
  const auto taken = [&mine](size_t bytes, void** memory) {
    const char* const error = allocate(bytes, memory);
    if (!error) mine.push_back(*memory);
    return error;
  };
  void *there = nullptr, *outputs = nullptr;
  Timer* timer = nullptr;
  const auto run = [&]() -> const char* {
    if (const char* error = taken(count * sizeof(Job), &there)) return error;
    if (const char* error = taken(count * view_.outputs * sizeof(float), &outputs)) return error;
    if (const char* error = upload(there, jobs, count * sizeof(Job))) return error;
    if (const char* error = open_timer(&timer)) return error;
    tiles.jobs = static_cast<const Job*>(there);
    tiles.outputs = static_cast<float*>(outputs);
    tiles.count = static_cast<uint32_t>(count);
    SingleParams single = lane.single;
    std::memcpy(single.jobs, jobs, std::min(count, size_t{kMostSingles}) * sizeof(Job));
    for (uint32_t i = 0; i < runs; ++i) {
      if (const char* error = start(timer, lane.stream)) return error;
      const char* const error =
          count <= kMostSingles ? launch(single, count, lane) : launch(tiles, lane);
      if (error) return error;
      if (const char* late = stop(timer, lane.stream, us + i)) return late;
    }
    return nullptr;
  };
  const char* const error = run();
  if (timer) close_timer(timer);
  for (void* const memory : mine) release(memory);
  return error;
}

// For the flags of single samples, which are there before the launch has ended, or for its end.
const char* Network::wait(const Lane& lane, size_t singles) const {
  const auto late = std::chrono::steady_clock::now() + kPatience;
  const volatile uint32_t* const done = lane.done;
  for (uint32_t look = 1;; ++look) {
    if (singles > 0) {
      size_t there = 0;
      while (there < singles && done[there] == lane.ticket) ++there;
      if (there == singles) {
        std::atomic_thread_fence(std::memory_order_acquire);
        return nullptr;
      }
      if (look % kLooks != 0) continue;
    }
    bool ended = false;
    if (const char* error = ask(lane.stream, &ended)) return error;
    if (ended && singles == 0) return nullptr;
    if (std::chrono::steady_clock::now() > late) return "the card does not answer";
  }
}

// The smallest that leaves no multiprocessor without a block, among those that fit.
uint32_t Network::tile_for(size_t count) const {
  TileParams params;
  params.x_stride = x_stride_;
  params.y_stride = y_stride_;
  uint32_t best = kTiles[0];
  for (const uint32_t tile : kTiles) {
    if (tile_bytes(params, tile) > card_.shared_bytes) break;
    best = tile;
    if (count <= size_t{tile} * card_.processors) break;
  }
  return best;
}

}  // namespace auspex::cuda
