// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/network.h"

#include <algorithm>

#include "kernels/cuda/shared_room.h"
#include "kernels/packed.h"

namespace auspex::cuda {
namespace {

constexpr size_t kMostLanes = 4;

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
    for (Stream* const stream : lane->streams) {
      if (stream) close_stream(stream);
    }
    if (lane->memory) release_shared(lane->memory);
  }
}

const char* Network::place(const AbiModel& model) {
  if (model.count < 2 || model.count > kMostLayers + 1) return "2 to 9 layers are what it can do";
  if (model.number_rows != kNumbers) return "a first layer with more numbers than six";
  for (uint32_t i = 0; i < model.count; ++i) {
    if (beyond_fp16(model.layers[i])) {
      return "weights beyond the range of FP16";
    }
    const bool fed_by_relu = i == 0 || model.layers[i - 1].relu;
    if (i > 0 && is_integer(model.layers[i].format) && !fed_by_relu) {
      return "integers need ReLU before them";
    }
  }
  single_.layers = tiles_.layers = model.count - 1;
  single_.outputs = tiles_.outputs = model.layers[model.count - 1].outputs;
  const char* error = place_input(model.layers[0], model.number_rows, model.dense);
  for (uint32_t i = 1; i < model.count && !error; ++i) error = place_layer(model.layers[i], i - 1);
  return error ? error : lay_out(model.persistent);
}

// A dense input leaves sums where rows would be gathered.
const char* Network::place_input(const AbiLayer& layer, uint32_t number_rows, bool dense) {
  InputLayer& input = single_.input;
  input.format = dense ? Format::kFp32 : input_format(layer.format);
  input.relu = layer.relu;
  const PackedLayer packed = pack_input(view_of(layer), number_rows, input.format);
  input.width = packed.columns;
  if (input.width > kInputMost) return "a first layer wider than 2048";
  single_.widest = input.width;
  single_.eights = input.width / card_.peers / 8;
  single_.groups = kThreads / single_.eights;
  single_.per_eight = (65536 + single_.eights - 1) / single_.eights;
  const void *scale, *bias;
  for (const char* error : {memory_.send(packed.numbers, &input.numbers),
                            memory_.send(packed.scale, &scale), memory_.send(packed.bias, &bias)}) {
    if (error) return error;
  }
  input.scale = static_cast<const float*>(scale);
  input.bias = static_cast<const float*>(bias);
  if (dense) {
    std::unique_ptr<Dense> made;
    const char* const error = Dense::load(card_, layer, number_rows, input.width, made);
    if (error) return error;
    dense_ = std::move(made);
  } else if (const char* error = memory_.send(packed.weights, &input.rows)) {
    return error;
  }
  tiles_.input = input;
  return nullptr;
}

const char* Network::place_layer(const AbiLayer& layer, uint32_t at) {
  const auto fill = [&](auto& view, const PackedLayer& packed) {
    view.format = layer.format;
    view.relu = layer.relu;
    view.columns = packed.columns;
    const void *weights, *places, *scale, *bias;
    for (const char* error :
         {memory_.send(packed.weights, &weights), memory_.send(packed.places, &places),
          memory_.send(packed.scale, &scale), memory_.send(packed.bias, &bias)}) {
      if (error) return error;
    }
    view.weights = static_cast<const Words*>(weights);
    view.places = static_cast<const uint32_t*>(places);
    view.scale = static_cast<const float*>(scale);
    view.bias = static_cast<const float*>(bias);
    return static_cast<const char*>(nullptr);
  };
  ColumnLayer& column = single_.layer[at];
  TileLayer& tile = tiles_.layer[at];
  const PackedLayer columns = pack_columns(view_of(layer), layer.format);
  const PackedLayer tiles = pack_tiles(view_of(layer), layer.format);
  column.chunks = columns.length;
  tile.steps = tiles.length;
  if (const char* error = fill(column, columns)) return error;
  if (const char* error = fill(tile, tiles)) return error;
  single_.widest =
      std::max({single_.widest, column.columns, column.chunks * chunk_inputs(column.format)});
  tiles_.x_stride = std::max(tiles_.x_stride, padded(tile.steps * kStepBytes, 128) + kStepBytes);
  tiles_.y_stride = std::max(tiles_.y_stride, tile.columns + 4);
  const bool last = at + 1 == single_.layers;
  const uint32_t own = last ? column.columns : column.columns / card_.peers;
  single_.own_columns += own;
  staged_bytes_ += size_t{own} * column.chunks * sizeof(Words);
  return nullptr;
}

const char* Network::lay_out(bool persistent) {
  single_.widest = padded(single_.widest, kColumnStep);
  single_bytes_ = single_bytes(single_.widest, single_.own_columns);
  const size_t asked_bytes = persistent ? kAskedBytes : 0;
  single_.staged = asked_bytes + single_bytes_ + staged_bytes_ <= card_.shared_bytes;
  if (single_.staged) single_bytes_ += staged_bytes_;
  if (std::max(asked_bytes + single_bytes_, tile_bytes(tiles_, kTiles[0])) > card_.shared_bytes) {
    return "layers too wide for a block's memory";
  }
  if (!persistent) return nullptr;
  resident_ = std::make_unique<Resident>();
  return resident_->open(card_, single_, single_bytes_);
}

const char* Network::open_lane(Lane& lane) const {
  const Rest rest;
  if (rest.error()) return rest.error();
  for (Stream*& stream : lane.streams) {
    if (const char* error = open_stream(&stream)) return error;
  }
  lane.single = single_;
  lane.tiles = tiles_;
  if (dense_) {
    for (Dense::Room& room : lane.rooms) {
      if (const char* error = dense_->open(kMostJobs / kParts, lane.card, room)) return error;
    }
    lane.single.input.rows = lane.rooms[0].sums;
  }
  const size_t bytes = kMostJobs * (sizeof(Job) + tiles_.outputs * sizeof(float));
  void* device = nullptr;
  if (const char* error = allocate_shared(bytes, &lane.memory, &device)) return error;
  lane.outputs = static_cast<float*>(lane.memory);
  lane.jobs = reinterpret_cast<Job*>(lane.outputs + kMostJobs * tiles_.outputs);
  lane.device_outputs = static_cast<float*>(device);
  lane.device_jobs = reinterpret_cast<Job*>(lane.device_outputs + kMostJobs * tiles_.outputs);
  lane.single.output = lane.device_outputs;
  static_cast<SingleNetwork&>(lane.singles) = lane.single;
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
  if (const char* error = nullptr; count == 1 && resident_) {
    if (resident_->answer(*jobs, outputs, &error)) return error;
  }
  const Borrowed borrowed(*this);
  if (borrowed.error()) return borrowed.error();
  Lane& lane = borrowed.lane();
  if (!lane.memory) return "the card has failed before";
  if (count <= kMostSingles) return run_singles(lane, jobs, count, outputs);
  const Job* const jobs_there = dense_ ? nullptr : on_card(jobs, count);
  float* const outputs_there = on_card(outputs, count * tiles_.outputs);
  const bool in_place = jobs_there && outputs_there;
  for (size_t begin = 0; begin < count; begin += kMostJobs) {
    const size_t part = std::min(kMostJobs, count - begin), first = begin * tiles_.outputs;
    const char* const error =
        in_place ? run_in_place(lane, jobs_there + begin, part, outputs_there + first)
                 : run_tiles(lane, jobs + begin, part, outputs + first);
    if (error) return error;
  }
  return nullptr;
}

const char* Network::measure(const Job* jobs, size_t count, uint32_t runs, float* us) {
  const Borrowed borrowed(*this);
  if (borrowed.error()) return borrowed.error();
  Lane& lane = borrowed.lane();
  if (!lane.memory) return "the card has failed before";
  const Rest rest;
  if (rest.error()) return rest.error();
  TileParams tiles = tiles_;
  CardMemory memory;
  Job* there = nullptr;
  Dense::Room room;
  Timer* timer = nullptr;
  const auto run = [&]() -> const char* {
    if (const char* error = memory.take(count, &there)) return error;
    if (const char* error = memory.take(count * tiles.outputs, &tiles.output)) return error;
    if (const char* error = upload(there, jobs, count * sizeof(Job))) return error;
    if (const char* error = dense_ ? dense_->open(count, memory, room) : nullptr) return error;
    if (const char* error = open_timer(&timer)) return error;
    tiles.count = static_cast<uint32_t>(count);
    const uint32_t tile = tile_for(count);
    for (uint32_t i = 0; i < runs; ++i) {
      tiles.jobs = there;
      if (const char* error = start(timer, lane.streams[0])) return error;
      const char* const error = count <= kMostSingles ? launch(lane, jobs, count)
                                                      : launch(tiles, tile, room, lane.streams[0]);
      if (error) return error;
      if (const char* late = stop(timer, lane.streams[0], us + i)) return late;
    }
    return nullptr;
  };
  const char* const error = run();
  if (timer) close_timer(timer);
  return error;
}

}  // namespace auspex::cuda
