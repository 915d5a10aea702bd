// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/network.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "kernels/packed.h"

namespace auspex::cuda {
namespace {

// Source: ours. Jobs that a lane has room for; fewer than kLeastPart are not worth a launch of
// their own.
constexpr size_t kMostJobs = 16384, kLeastPart = 2048;
constexpr size_t kMostLanes = 4;
// A dense input may be a hundred milliseconds of work.
constexpr std::chrono::milliseconds kDensePatience{5000};
// At the outputs, between looks at whether the card has failed.
constexpr uint32_t kLooks = 64;

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
  for (size_t begin = 0; begin < count; begin += kMostJobs) {
    const size_t part = std::min(kMostJobs, count - begin);
    const char* error = run_tiles(lane, jobs + begin, part, outputs + begin * tiles_.outputs);
    if (error) return error;
  }
  return nullptr;
}

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
  const size_t parts = std::clamp<size_t>(count / kLeastPart, 1, kParts);
  const size_t each = (count + parts - 1) / parts;
  const uint32_t tile = tile_for(count);
  const auto of_part = [&](size_t part) { return std::min(each, count - part * each); };
  for (size_t part = 0; part < parts; ++part) {
    const size_t first = part * each;
    std::memcpy(lane.jobs + first, jobs + first, of_part(part) * sizeof(Job));
    lane.tiles.jobs = lane.device_jobs + first;
    lane.tiles.output = lane.device_outputs + first * tiles_.outputs;
    lane.tiles.count = static_cast<uint32_t>(of_part(part));
    if (dense_) {  // which reads them often
      Stream* const stream = lane.streams[part];
      Job* const there = lane.rooms[part].jobs;
      if (const char* error = copy(there, lane.tiles.jobs, of_part(part) * sizeof(Job), stream)) {
        return error;
      }
      lane.tiles.jobs = there;
    }
    if (const char* error = launch(lane.tiles, tile, lane.rooms[part], lane.streams[part])) {
      return error;
    }
  }
  for (size_t part = 0; part < parts; ++part) {
    const auto never = [] { return false; };
    if (const char* error = wait(lane.streams[part], never)) return error;
    const size_t first = part * each * tiles_.outputs;
    std::memcpy(outputs + first, lane.outputs + first,
                of_part(part) * tiles_.outputs * sizeof(float));
  }
  return nullptr;
}

// Until `done` says so, or the stream has come to its end.
template <class Done>
const char* Network::wait(Stream* stream, const Done& done) const {
  const std::chrono::milliseconds patience(card_.patience_ms);
  const auto late = std::chrono::steady_clock::now() + (dense_ ? kDensePatience : patience);
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
