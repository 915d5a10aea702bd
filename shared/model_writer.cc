// SPDX-License-Identifier: Apache-2.0
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "shared/file.h"
#include "shared/model_file.h"
#include "shared/model_format.h"
#include "shared/model_generated.h"
#include "shared/prediction.h"

namespace auspex {
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
  builder.ForceVectorAlignment(values.size(), sizeof(float), kModelAlignment);
  return builder.CreateVector(values);
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

std::vector<uint8_t> model_bytes(const ModelContent& content) {
  const auto payload = payload_of(content);
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
  const std::vector<uint8_t> bytes = model_bytes(content);
  Result<ReplacingFile> file = ReplacingFile::create(path);
  if (!file) return file.error();
  if (!write_at(file->fd(), bytes.data(), bytes.size(), 0)) return system_error(path);
  return file->replace();
}

}  // namespace auspex
