// SPDX-License-Identifier: Apache-2.0
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "shared/file.h"
#include "shared/model_file.h"
#include "shared/model_format.h"
#include "shared/model_generated.h"
#include "shared/prediction.h"

namespace auspex {
namespace {

struct BuiltLookup {
  uint64_t salt = 0;
  BuiltPerfectHash perfect;
  std::vector<CategoryEntry> entries;  // Shape: [perfect.hash.slots]
};

// Errors: those of perfect_hash_of.
Result<BuiltLookup> lookup_salted(const ModelContent& content, uint64_t salt) {
  std::vector<uint64_t> keys;
  for (size_t i = 0; i < kCategoryCount; ++i) {
    for (const auto& [value, row] : content.fields[i].rows) {
      keys.push_back(CategoryLookup::key(i, value, salt));
    }
  }
  Result<BuiltPerfectHash> perfect = perfect_hash_of(keys);
  if (!perfect) return perfect.error();
  BuiltLookup built{salt, std::move(*perfect), {}};
  built.entries.resize(built.perfect.hash.slots);
  const CategoryLookup lookup{built.perfect.hash, salt, built.perfect.pilots.data(),
                              built.entries.data()};
  for (size_t i = 0; i < kCategoryCount; ++i) {
    for (const auto& [value, row] : content.fields[i].rows) {
      const uint64_t mixed = lookup.mixed(i, value);
      const auto slot = static_cast<size_t>(lookup.entry(mixed) - lookup.entries);
      built.entries[slot] = {PerfectHash::fingerprint(mixed), row};
    }
  }
  return built;
}

// No value is twice in its field. Errors: none found.
Result<BuiltLookup> lookup_of(const ModelContent& content) {
  uint64_t sum = 0;  // of all values, in any order
  for (const auto& field : content.fields) {
    for (const auto& [value, row] : field.rows) sum += PerfectHash{}.mixed(value);
  }
  // Two fields' values that share a key under one salt hardly do under another.
  constexpr uint64_t kSalts = 8;
  Result<BuiltLookup> built = Error{};
  for (uint64_t attempt = 0; attempt < kSalts && !built; ++attempt) {
    built = lookup_salted(content, PerfectHash{}.mixed(sum + attempt));
  }
  return built;
}

// A field's values, ascending. Errors: one that is there twice.
Result<std::vector<uint64_t>> values_of(const ModelContent& content, size_t field) {
  std::vector<uint64_t> values;
  for (const auto& [value, row] : content.fields[field].rows) values.push_back(value);
  std::sort(values.begin(), values.end());
  const auto twice = std::adjacent_find(values.begin(), values.end());
  if (twice == values.end()) return values;
  return Error{"field " + std::string(kCategoryNames[field]) + ": the value " +
               std::to_string(*twice) + " twice"};
}

flatbuffers::Offset<flatbuffers::Vector<float>> aligned_floats(
    flatbuffers::FlatBufferBuilder& builder, const std::vector<float>& values) {
  builder.ForceVectorAlignment(values.size(), sizeof(float), kModelAlignment);
  return builder.CreateVector(values);
}

// Aligned, so that no entry lies on two cache lines.
flatbuffers::Offset<model::Lookup> written_lookup(flatbuffers::FlatBufferBuilder& builder,
                                                  const BuiltLookup& built) {
  std::vector<model::CategoryEntry> entries;
  for (const CategoryEntry& entry : built.entries) {
    entries.emplace_back(entry.fingerprint, entry.row);
  }
  builder.ForceVectorAlignment(entries.size(), sizeof(CategoryEntry), kModelAlignment);
  const auto entries_vector = builder.CreateVectorOfStructs(entries);
  const auto pilots = builder.CreateVector(built.perfect.pilots);
  return model::CreateLookup(builder, built.salt, built.perfect.hash.seed, pilots, entries_vector);
}

flatbuffers::Offset<model::Pointer> pointer_of(flatbuffers::FlatBufferBuilder& builder,
                                               const ModelContent::Pointer& pointer) {
  const auto past = aligned_floats(builder, pointer.past_weights);
  const auto candidate = aligned_floats(builder, pointer.candidate_weights);
  const auto slot = aligned_floats(builder, pointer.slot_bias);
  const auto context = aligned_floats(builder, pointer.context_weights);
  const auto head = aligned_floats(builder, pointer.head_weights);
  const auto head_bias = aligned_floats(builder, pointer.head_bias);
  return model::CreatePointer(builder, kHistoryVersion, pointer.width, past, candidate, slot,
                              context, head, head_bias);
}

flatbuffers::Offset<model::Calibration> calibration_of(flatbuffers::FlatBufferBuilder& builder,
                                                       const CalibrationState& state) {
  std::vector<uint64_t> users;
  std::vector<uint8_t> jobs;
  std::vector<float> scores;
  static_assert(Calibration::kUserScores <= std::numeric_limits<uint8_t>::max());
  for (const CalibrationState::User& user : state.users) {
    users.push_back(user.key);
    jobs.push_back(static_cast<uint8_t>(user.scores.size()));
    for (const CalibratedLogs& score : user.scores) {
      scores.insert(scores.end(), score.begin(), score.end());
    }
  }
  return model::CreateCalibrationDirect(builder, &users, &jobs, &scores, &state.window);
}

// Nothing for what is FP32 throughout.
std::vector<uint8_t> bytes_of(const std::vector<Precision>& precisions) {
  std::vector<uint8_t> bytes;
  if (std::ranges::count(precisions, Precision::kFp32) == std::ssize(precisions)) return bytes;
  for (const Precision precision : precisions) bytes.push_back(static_cast<uint8_t>(precision));
  return bytes;
}

Result<flatbuffers::DetachedBuffer> payload_of(const ModelContent& content) {
  flatbuffers::FlatBufferBuilder b(1 << 20);
  std::vector<flatbuffers::Offset<model::Layer>> layers;
  for (const auto& layer : content.layers) {
    const auto weights = aligned_floats(b, layer.weights);
    const auto bias = aligned_floats(b, layer.bias);
    layers.push_back(model::CreateLayer(b, layer.inputs, layer.outputs, weights, bias, layer.relu));
  }
  std::vector<flatbuffers::Offset<model::Field>> fields;
  for (size_t i = 0; i < kCategoryCount; ++i) {
    const Result<std::vector<uint64_t>> known = values_of(content, i);
    if (!known) return known.error();
    const auto name = b.CreateString(std::string(kCategoryNames[i]));
    const auto values = b.CreateVector(*known);
    fields.push_back(model::CreateField(b, name, content.fields[i].missing_row,
                                        content.fields[i].unknown_row, values));
  }
  std::vector<flatbuffers::Offset<model::Number>> numbers;
  for (size_t i = 0; i < kNumberCount; ++i) {
    const auto name = b.CreateString(std::string(kNumberNames[i]));
    const auto& number = content.numbers[i];
    numbers.push_back(model::CreateNumber(b, name, number.median, number.mean, number.sd));
  }
  const Result<BuiltLookup> built = lookup_of(content);
  if (!built) return built.error();
  const auto lookup = written_lookup(b, *built);
  const auto levels = b.CreateVector(kQuantileLevels.data(), kQuantileLevels.size());
  const auto trained_on = b.CreateString(content.trained_on);
  const auto fields_vector = b.CreateVector(fields);
  const auto numbers_vector = b.CreateVector(numbers);
  const auto layers_vector = b.CreateVector(layers);
  const auto pointer = content.pointer ? pointer_of(b, *content.pointer) : 0;
  const bool calibrated = !content.calibration.window.empty();
  const auto calibration = calibrated ? calibration_of(b, content.calibration) : 0;
  const std::vector<uint8_t> of_layers = bytes_of(content.precisions);
  const auto precisions = of_layers.empty() ? 0 : b.CreateVector(of_layers);
  b.Finish(model::CreateRuntimeModel(b, kFeatureVersion, content.created_s, trained_on,
                                     fields_vector, lookup, numbers_vector, levels, layers_vector,
                                     pointer, calibration, precisions),
           model::RuntimeModelIdentifier());
  return b.Release();
}

}  // namespace

Result<std::vector<uint8_t>> model_bytes(const ModelContent& content) {
  const Result<flatbuffers::DetachedBuffer> built = payload_of(content);
  if (!built) return built.error();
  const flatbuffers::DetachedBuffer& payload = *built;
  ModelHeader header{};
  std::memcpy(header.magic, kModelMagic, sizeof(kModelMagic));
  header.version = kModelFileVersion;
  header.payload_bytes = payload.size();
  header.checksum = XXH3_64bits(payload.data(), payload.size());
  std::vector<uint8_t> bytes(sizeof(header) + payload.size());
  std::memcpy(bytes.data(), &header, sizeof(header));
  std::memcpy(bytes.data() + sizeof(header), payload.data(), payload.size());
  return bytes;
}

Status write_model_file(const std::string& path, const ModelContent& content) {
  const Result<std::vector<uint8_t>> bytes = model_bytes(content);
  if (!bytes) return Error{path + ": " + bytes.error().message};
  Result<ReplacingFile> file = ReplacingFile::create(path);
  if (!file) return file.error();
  if (!write_at(file->fd(), bytes->data(), bytes->size(), 0)) return system_error(path);
  return file->replace();
}

}  // namespace auspex
