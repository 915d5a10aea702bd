// SPDX-License-Identifier: Apache-2.0
#include "shared/model_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "shared/model_generated.h"
#include "shared/prediction.h"

namespace auspex {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is used as it lies");

constexpr char kMagic[8] = {'A', 'U', 'S', 'P', 'E', 'X', 'M', 'F'};
constexpr size_t kAlignment = 32;  // the most that FlatBuffers 2.0 gives; an AVX2 register

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t zero;
  uint64_t payload_bytes;
  uint64_t checksum;  // XXH3 of the payload
  uint8_t padding[32];
};
static_assert(sizeof(Header) % kAlignment == 0);

// The widest layer that a file may ask for: bounds the scratch memory of a prediction.
constexpr uint32_t kMaxWidth = 16384;

Error system_error(const std::string& path) {
  return Error{path + ": " + std::strerror(errno)};
}

std::string short_id(uint64_t checksum) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(checksum));
  return std::string(text, 8);
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { close(); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  int close() {
    const int fd = fd_;
    fd_ = -1;
    return fd >= 0 ? ::close(fd) : 0;
  }

 private:
  int fd_;
};

bool read_all(int fd, uint8_t* data, size_t size) {
  while (size > 0) {
    const ssize_t received = ::read(fd, data, size);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    data += received;
    size -= static_cast<size_t>(received);
  }
  return true;
}

}  // namespace

Result<std::shared_ptr<const ModelFile>> ModelFile::open(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return system_error(path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) return system_error(path);
  if (!S_ISREG(info.st_mode)) return Error{path + ": not a regular file"};
  const auto size = static_cast<size_t>(info.st_size);
  if (size < sizeof(Header)) {
    return Error{path + ": truncated: " + std::to_string(size) + " bytes, a model has more"};
  }
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return system_error(path);
  std::shared_ptr<ModelFile> model(new ModelFile());
  model->memory_ = static_cast<const uint8_t*>(memory);
  model->memory_size_ = size;
  ::madvise(memory, size, MADV_HUGEPAGE);  // a wish; fewer TLB misses where it is granted
  if (!read_all(file.get(), static_cast<uint8_t*>(memory), size)) {
    return Error{path + ": truncated while it was read"};
  }
  ::mprotect(memory, size, PROT_READ);
  if (auto bound = model->bind(path); !bound) return bound.error();
  return std::shared_ptr<const ModelFile>(std::move(model));
}

ModelFile::~ModelFile() {
  if (memory_ != nullptr) ::munmap(const_cast<uint8_t*>(memory_), memory_size_);
}

namespace {

Status check_header(const Header& header, const uint8_t* payload, size_t file_size,
                    const std::string& path) {
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0) {
    return Error{path + ": not an Auspex model"};
  }
  if (header.version != kModelFileVersion) {
    return Error{path + ": model file version " + std::to_string(header.version) +
                 ", this build reads " + std::to_string(kModelFileVersion)};
  }
  const size_t payload_bytes = file_size - sizeof(Header);
  if (header.payload_bytes != payload_bytes) {
    return Error{path + ": truncated or extended: " + std::to_string(payload_bytes) +
                 " bytes of content, the header says " + std::to_string(header.payload_bytes)};
  }
  if (XXH3_64bits(payload, payload_bytes) != header.checksum) {
    return Error{path + ": altered: the checksum does not match"};
  }
  flatbuffers::Verifier verifier(payload, payload_bytes, /*max_depth=*/8, /*max_tables=*/1000);
  if (!model::VerifyRuntimeModelBuffer(verifier)) {
    return Error{path + ": the content is not a runtime model"};
  }
  return Done{};
}

// What the schema cannot say: sizes that fit each other.
Status check_meaning(const model::RuntimeModel& m, const std::string& path) {
  const auto refuse = [&path](const std::string& what) { return Error{path + ": " + what}; };
  if (m.feature_version() != kFeatureVersion) {
    return refuse("feature version " + std::to_string(m.feature_version()) +
                  ", this build computes " + std::to_string(kFeatureVersion));
  }
  if (m.fields()->size() != kCategoryCount || m.numbers()->size() != kNumberCount) {
    return refuse("its fields are not this build's");
  }
  const auto* levels = m.quantile_levels();
  if (levels->size() != kQuantileCount ||
      !std::equal(levels->begin(), levels->end(), kQuantileLevels.begin())) {
    return refuse("its quantile levels are not this build's");
  }
  if (m.layers()->size() < 2) return refuse("fewer than two layers");
  uint32_t inputs = m.layers()->Get(0)->inputs();
  if (inputs < kNumberCount) return refuse("first layer too narrow");
  const uint32_t one_hot_rows = inputs - static_cast<uint32_t>(kNumberCount);
  for (const auto* layer : *m.layers()) {
    const uint64_t outputs = layer->outputs();
    if (layer->inputs() != inputs || outputs == 0 || outputs > kMaxWidth ||
        layer->weights()->size() != uint64_t{inputs} * outputs ||
        layer->bias()->size() != outputs ||
        reinterpret_cast<uintptr_t>(layer->weights()->data()) % kAlignment != 0) {
      return refuse("layers that do not fit each other");
    }
    inputs = layer->outputs();
  }
  if (inputs != kOutputCount) return refuse("not " + std::to_string(kOutputCount) + " outputs");
  const auto row_ok = [one_hot_rows](int32_t row) {
    return row >= -1 && (row < 0 || static_cast<uint32_t>(row) < one_hot_rows);
  };
  for (const auto* field : *m.fields()) {
    if (!row_ok(field->missing_row()) || !row_ok(field->unknown_row())) {
      return refuse("a field's row outside the first layer");
    }
  }
  const auto* lookup = m.lookup();
  bool has_empty_slot = false;  // or a search would not end
  for (const auto* entry : *lookup) {
    if (entry->hash() == 0) {
      has_empty_slot = true;
    } else if (entry->row() >= one_hot_rows || entry->field() >= kCategoryCount) {
      return refuse("a category's row outside the first layer");
    }
  }
  if (!has_empty_slot || !std::has_single_bit(lookup->size())) {
    return refuse("the category lookup is not well formed");
  }
  return Done{};
}

}  // namespace

Status ModelFile::bind(const std::string& path) {
  Header header;
  std::memcpy(&header, memory_, sizeof(header));
  const uint8_t* payload = memory_ + sizeof(Header);
  if (auto checked = check_header(header, payload, memory_size_, path); !checked) return checked;
  const auto& m = *model::GetRuntimeModel(payload);
  if (auto checked = check_meaning(m, path); !checked) return checked;

  summary_.id = short_id(header.checksum);
  summary_.trained_on = m.trained_on() ? m.trained_on()->str() : "";
  summary_.created_s = m.created_s();
  summary_.bytes = memory_size_;
  summary_.layer_sizes.push_back(m.layers()->Get(0)->inputs());
  for (const auto* layer : *m.layers()) {
    layers_.push_back({layer->inputs(), layer->outputs(), layer->weights()->data(),
                       layer->bias()->data(), layer->relu()});
    max_width_ = std::max(max_width_, layer->outputs());
    summary_.layer_sizes.push_back(layer->outputs());
    summary_.parameters += layer->weights()->size() + layer->bias()->size();
  }
  for (size_t i = 0; i < kCategoryCount; ++i) {
    const auto* field = m.fields()->Get(static_cast<uint32_t>(i));
    field_rows_[i] = {field->missing_row(), field->unknown_row()};
    summary_.categories.emplace_back(std::string(kCategoryNames[i]), 0U);
  }
  for (size_t i = 0; i < kNumberCount; ++i) {
    const auto* number = m.numbers()->Get(static_cast<uint32_t>(i));
    scales_[i] = {number->median(), number->mean(), number->sd() > 0 ? 1 / number->sd() : 0};
  }
  lookup_ = m.lookup()->Data();
  lookup_mask_ = m.lookup()->size() - 1;
  for (const auto* entry : *m.lookup()) {
    if (entry->hash() != 0) ++summary_.categories[entry->field()].second;
  }
  return Done{};
}

EncodedJob ModelFile::encode(const Features& features) const {
  const auto* table = reinterpret_cast<const model::CategoryEntry*>(lookup_);
  EncodedJob job;
  for (size_t i = 0; i < kCategoryCount; ++i) {
    const FieldRows rows = field_rows_[i];
    const uint64_t hash = features.category[i];
    int64_t row = hash == Features::kMissing ? rows.missing : rows.unknown;
    if (hash != Features::kMissing && rows.unknown >= 0) {
      for (uint64_t at = hash & lookup_mask_; table[at].hash() != 0; at = (at + 1) & lookup_mask_) {
        if (table[at].hash() == hash && table[at].field() == i) {
          row = table[at].row();
          break;
        }
      }
    }
    if (row >= 0) job.rows[job.row_count++] = static_cast<uint32_t>(row);
  }
  for (size_t i = 0; i < kNumberCount; ++i) {
    const float value = std::isnan(features.number[i]) ? scales_[i].median : features.number[i];
    job.numbers[i] = (value - scales_[i].mean) * scales_[i].inverse_sd;
  }
  return job;
}

namespace {

std::vector<model::CategoryEntry> lookup_table(const ModelContent& content) {
  size_t values = 0;
  for (const auto& field : content.fields) values += field.rows.size();
  std::vector<model::CategoryEntry> table(std::bit_ceil(2 * values + 2));
  for (size_t i = 0; i < kCategoryCount; ++i) {
    for (const auto& [hash, row] : content.fields[i].rows) {
      uint64_t at = hash & (table.size() - 1);
      while (table[at].hash() != 0) at = (at + 1) & (table.size() - 1);
      table[at] = model::CategoryEntry(hash, row, static_cast<uint32_t>(i));
    }
  }
  return table;
}

flatbuffers::Offset<flatbuffers::Vector<float>> aligned_floats(
    flatbuffers::FlatBufferBuilder& builder, const std::vector<float>& values) {
  builder.ForceVectorAlignment(values.size(), sizeof(float), kAlignment);
  return builder.CreateVector(values);
}

flatbuffers::DetachedBuffer payload_of(const ModelContent& content) {
  flatbuffers::FlatBufferBuilder b(1 << 20);
  std::vector<flatbuffers::Offset<model::Layer>> layers;
  for (const auto& layer : content.layers) {
    const auto weights = aligned_floats(b, layer.weights);
    const auto bias = aligned_floats(b, layer.bias);
    layers.push_back(model::CreateLayer(b, layer.inputs, layer.outputs, weights, bias, layer.relu));
  }
  std::vector<flatbuffers::Offset<model::Field>> fields;
  for (size_t i = 0; i < kCategoryCount; ++i) {
    const auto name = b.CreateString(std::string(kCategoryNames[i]));
    fields.push_back(
        model::CreateField(b, name, content.fields[i].missing_row, content.fields[i].unknown_row));
  }
  std::vector<flatbuffers::Offset<model::Number>> numbers;
  for (size_t i = 0; i < kNumberCount; ++i) {
    const auto name = b.CreateString(std::string(kNumberNames[i]));
    const auto& number = content.numbers[i];
    numbers.push_back(model::CreateNumber(b, name, number.median, number.mean, number.sd));
  }
  const auto lookup = b.CreateVectorOfStructs(lookup_table(content));
  const auto levels = b.CreateVector(kQuantileLevels.data(), kQuantileLevels.size());
  const auto trained_on = b.CreateString(content.trained_on);
  const auto fields_vector = b.CreateVector(fields);
  const auto numbers_vector = b.CreateVector(numbers);
  const auto layers_vector = b.CreateVector(layers);
  b.Finish(model::CreateRuntimeModel(b, kFeatureVersion, content.created_s, trained_on,
                                     fields_vector, lookup, numbers_vector, levels, layers_vector),
           model::RuntimeModelIdentifier());
  return b.Release();
}

bool write_all(int fd, const void* data, size_t size) {
  const auto* at = static_cast<const uint8_t*>(data);
  while (size > 0) {
    const ssize_t written = ::write(fd, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += written;
    size -= static_cast<size_t>(written);
  }
  return true;
}

}  // namespace

Status write_model_file(const std::string& path, const ModelContent& content) {
  const auto payload = payload_of(content);
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kModelFileVersion;
  header.payload_bytes = payload.size();
  header.checksum = XXH3_64bits(payload.data(), payload.size());

  std::string temporary = path + ".XXXXXX";
  FileDescriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (file.get() < 0) return system_error(path);
  const bool written =
      ::fchmod(file.get(), 0644) == 0 && write_all(file.get(), &header, sizeof(header)) &&
      write_all(file.get(), payload.data(), payload.size()) && ::fsync(file.get()) == 0 &&
      file.close() == 0 && ::rename(temporary.c_str(), path.c_str()) == 0;
  if (!written) {
    const Error error = system_error(path);
    ::unlink(temporary.c_str());
    return error;
  }
  return Done{};
}

}  // namespace auspex
