// SPDX-License-Identifier: Apache-2.0
#include "shared/model_file.h"

#include <sys/mman.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "shared/file.h"
#include "shared/mixture.h"
#include "shared/model_format.h"
#include "shared/model_generated.h"
#include "shared/prediction.h"

namespace auspex {
namespace {

// The widest layer that a file may ask for: bounds the scratch memory of a prediction.
constexpr uint32_t kMaxWidth = 16384;

std::string short_id(uint64_t checksum) {
  char text[17];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(checksum));
  return std::string(text, 8);
}

}  // namespace

Result<std::shared_ptr<const ModelFile>> ModelFile::open(const std::string& path) {
  const Result<RegularFile> file = open_regular(path);
  if (!file) return file.error();
  const auto size = static_cast<size_t>(file->bytes);
  if (size < sizeof(ModelHeader)) {
    return Error{path + ": truncated: " + std::to_string(size) + " bytes, a model has more"};
  }
  auto model = with_memory(size, path);
  if (!model) return model.error();
  auto* memory = const_cast<uint8_t*>((*model)->memory_);
  if (read_at(file->file.get(), memory, size, 0) != static_cast<ssize_t>(size)) {
    return Error{path + ": truncated while it was read"};
  }
  ::mprotect(memory, size, PROT_READ);
  if (auto bound = (*model)->bind(path); !bound) return bound.error();
  return std::shared_ptr<const ModelFile>(std::move(*model));
}

Result<std::shared_ptr<ModelFile>> ModelFile::with_memory(size_t size, const std::string& path) {
  // On a huge page's border, for what encode() reads is at the front; the surplus goes back.
  constexpr size_t kHugePage = size_t{2} << 20;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t pages_size = (size + page - 1) / page * page;
  const size_t mapped_size = size < kHugePage ? pages_size : pages_size + kHugePage;
  void* mapped =
      ::mmap(nullptr, mapped_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return system_error(path);
  const size_t surplus = mapped_size - pages_size;
  const size_t before = surplus > 0 ? -reinterpret_cast<uintptr_t>(mapped) % kHugePage : 0;
  uint8_t* memory = static_cast<uint8_t*>(mapped) + before;
  if (before > 0) ::munmap(mapped, before);
  if (surplus > before) ::munmap(memory + pages_size, surplus - before);
  std::shared_ptr<ModelFile> model(new ModelFile());
  model->memory_ = memory;
  model->memory_size_ = size;
  ::madvise(memory, size, MADV_HUGEPAGE);  // a wish; fewer TLB misses where it is granted
  return model;
}

Result<std::shared_ptr<const ModelFile>> ModelFile::of(const ModelContent& content) {
  const std::string nowhere = "model in memory";
  const Result<std::vector<uint8_t>> bytes = model_bytes(content);
  if (!bytes) return Error{nowhere + ": " + bytes.error().message};
  auto model = with_memory(bytes->size(), nowhere);
  if (!model) return model.error();
  std::memcpy(const_cast<uint8_t*>((*model)->memory_), bytes->data(), bytes->size());
  if (auto bound = (*model)->bind(nowhere); !bound) return bound.error();
  return std::shared_ptr<const ModelFile>(std::move(*model));
}

ModelContent ModelFile::content() const {
  const auto& m = *model::GetRuntimeModel(memory_ + sizeof(ModelHeader));
  ModelContent content;
  content.trained_on = summary_.trained_on;
  content.created_s = summary_.created_s;
  for (uint32_t i = 0; i < kCategoryCount; ++i) {
    content.fields[i].missing_row = field_rows_[i].missing;
    content.fields[i].unknown_row = field_rows_[i].unknown;
    for (const uint64_t value : *m.fields()->Get(i)->values()) {
      const uint32_t row = lookup_.entry(lookup_.mixed(i, value))->row;
      content.fields[i].rows.emplace_back(value, row);
    }
  }
  for (size_t i = 0; i < kNumberCount; ++i) {
    const auto* number = m.numbers()->Get(static_cast<uint32_t>(i));
    content.numbers[i] = {number->median(), number->mean(), number->sd()};
  }
  const auto floats = [](const float* values, size_t count) {
    return std::vector<float>(values, values + count);
  };
  for (const LayerView& layer : layers_) {
    content.layers.push_back({layer.inputs, layer.outputs,
                              floats(layer.weights, size_t{layer.inputs} * layer.outputs),
                              floats(layer.bias, layer.outputs), layer.relu});
    content.precisions.push_back(layer.precision);
  }
  if (pointer_) {
    const PointerView& p = *pointer_;
    const size_t width = p.width;
    content.pointer =
        ModelContent::Pointer{p.width,
                              floats(p.past_weights, kItemInputs * width),
                              floats(p.candidate_weights, kItemInputs * width),
                              floats(p.slot_bias, kItems * width),
                              floats(p.context_weights, layers_.back().inputs * width),
                              floats(p.head_weights, width * kItemHeads),
                              floats(p.head_bias, kItems * kItemHeads)};
  }
  content.calibration = calibration_.state();
  return content;
}

ModelFile::~ModelFile() {
  if (memory_ != nullptr) ::munmap(const_cast<uint8_t*>(memory_), memory_size_);
}

namespace {

Status check_header(const ModelHeader& header, const uint8_t* payload, size_t file_size,
                    const std::string& path) {
  if (std::memcmp(header.magic, kModelMagic, sizeof(kModelMagic)) != 0) {
    return Error{path + ": not an Auspex model"};
  }
  if (header.version != kModelFileVersion) {
    return Error{path + ": model file version " + std::to_string(header.version) +
                 ", this build reads " + std::to_string(kModelFileVersion)};
  }
  const size_t payload_bytes = file_size - sizeof(ModelHeader);
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

// Source: our choice; bounds the scratch memory of a prediction.
constexpr uint32_t kMaxItemWidth = 1024;

// A weight that is no number would spread to every prediction.
bool finite(const flatbuffers::Vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

Status check_pointer(const model::Pointer& pointer, const model::Layer& last) {
  if (pointer.history_version() != kHistoryVersion) {
    return Error{"history version " + std::to_string(pointer.history_version()) +
                 ", this build computes " + std::to_string(kHistoryVersion)};
  }
  const uint64_t width = pointer.width();
  const auto fits = [](const flatbuffers::Vector<float>* values, uint64_t size) {
    return values->size() == size &&
           reinterpret_cast<uintptr_t>(values->data()) % kModelAlignment == 0;
  };
  if (width == 0 || width > kMaxItemWidth || !fits(pointer.past_weights(), kItemInputs * width) ||
      !fits(pointer.candidate_weights(), kItemInputs * width) ||
      !fits(pointer.slot_bias(), kItems * width) ||
      !fits(pointer.context_weights(), last.inputs() * width) ||
      !fits(pointer.head_weights(), width * kItemHeads) ||
      !fits(pointer.head_bias(), kItems * kItemHeads)) {
    return Error{"pointer weights that do not fit each other"};
  }
  if (!finite(*pointer.past_weights()) || !finite(*pointer.candidate_weights()) ||
      !finite(*pointer.slot_bias()) || !finite(*pointer.context_weights()) ||
      !finite(*pointer.head_weights()) || !finite(*pointer.head_bias())) {
    return Error{"a weight that is not a finite number"};
  }
  return Done{};
}

// Errors: counts that do not fit each other; those of Calibration::of.
Result<Calibration> calibration_of(const model::Calibration& saved) {
  CalibrationState state;
  uint32_t next = 0;
  const auto* scores = saved.scores();
  const Error misfit{"calibration: counts that do not fit each other"};
  if (saved.users()->size() != saved.jobs()->size() ||
      saved.users()->size() > Calibration::kMostUsers) {
    return misfit;
  }
  for (uint32_t i = 0; i < saved.users()->size(); ++i) {
    CalibrationState::User& user = state.users.emplace_back();
    user.key = saved.users()->Get(i);
    const uint32_t jobs = saved.jobs()->Get(i);
    if (uint64_t{next} + jobs * kCalibratedCount > scores->size()) return misfit;
    user.scores.resize(jobs);
    for (CalibratedLogs& score : user.scores) {
      for (float& value : score) value = scores->Get(next++);
    }
  }
  if (next != scores->size()) return misfit;
  state.window.assign(saved.window()->begin(), saved.window()->end());
  return Calibration::of(state);
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
  if (const auto* precisions = m.precisions()) {
    if (precisions->size() != m.layers()->size()) return refuse("not one precision for each layer");
    for (const uint8_t precision : *precisions) {
      if (precision < kPrecisionNames.size()) continue;
      return refuse("precision " + std::to_string(precision) + ", which this build does not know");
    }
  }
  uint32_t inputs = m.layers()->Get(0)->inputs();
  const auto* pointer = m.pointer();
  const auto dense = static_cast<uint32_t>(kNumberCount + (pointer ? kHistoryNumbers : 0));
  if (inputs < dense) return refuse("first layer too narrow");
  const uint32_t one_hot_rows = inputs - dense;
  for (const auto* layer : *m.layers()) {
    const uint64_t outputs = layer->outputs();
    if (layer->inputs() != inputs || outputs == 0 || outputs > kMaxWidth ||
        layer->weights()->size() != uint64_t{inputs} * outputs ||
        layer->bias()->size() != outputs ||
        reinterpret_cast<uintptr_t>(layer->weights()->data()) % kModelAlignment != 0) {
      return refuse("layers that do not fit each other");
    }
    if (!finite(*layer->weights()) || !finite(*layer->bias())) {
      return refuse("a weight that is not a finite number");
    }
    inputs = layer->outputs();
  }
  const size_t outputs = pointer ? kBins : kOutputCount;
  if (inputs != outputs) return refuse("not " + std::to_string(outputs) + " outputs");
  if (m.calibration() && !pointer) return refuse("a calibration without a pointer network");
  if (pointer) {
    if (auto fits = check_pointer(*pointer, *m.layers()->Get(m.layers()->size() - 1)); !fits) {
      return refuse(fits.error().message);
    }
  }
  const auto row_ok = [one_hot_rows](int32_t row) {
    return row >= -1 && (row < 0 || static_cast<uint32_t>(row) < one_hot_rows);
  };
  for (const auto* field : *m.fields()) {
    if (!row_ok(field->missing_row()) || !row_ok(field->unknown_row())) {
      return refuse("a field's row outside the first layer");
    }
  }
  if (auto fits = check_lookup(m, one_hot_rows); !fits) return refuse(fits.error().message);
  return Done{};
}

}  // namespace

Status ModelFile::bind(const std::string& path) {
  ModelHeader header;
  std::memcpy(&header, memory_, sizeof(header));
  const uint8_t* payload = memory_ + sizeof(ModelHeader);
  if (auto checked = check_header(header, payload, memory_size_, path); !checked) return checked;
  const auto& m = *model::GetRuntimeModel(payload);
  if (auto checked = check_meaning(m, path); !checked) return checked;

  summary_.id = short_id(header.checksum);
  summary_.trained_on = m.trained_on() ? m.trained_on()->str() : "";
  summary_.created_s = m.created_s();
  summary_.bytes = memory_size_;
  summary_.layer_sizes.push_back(m.layers()->Get(0)->inputs());
  std::vector<Precision> precisions(m.layers()->size(), Precision::kFp32);
  if (m.precisions()) {
    std::transform(m.precisions()->begin(), m.precisions()->end(), precisions.begin(),
                   [](uint8_t precision) { return static_cast<Precision>(precision); });
  }
  summary_.precision = precisions_text(precisions);
  for (const auto* layer : *m.layers()) {
    layers_.push_back({layer->inputs(), layer->outputs(), layer->weights()->data(),
                       layer->bias()->data(), layer->relu(), precisions[layers_.size()]});
    max_width_ = std::max(max_width_, layer->outputs());
    summary_.layer_sizes.push_back(layer->outputs());
    summary_.parameters += layer->weights()->size() + layer->bias()->size();
  }
  if (const auto* p = m.pointer()) {
    pointer_ = {p->width(),
                p->past_weights()->data(),
                p->candidate_weights()->data(),
                p->slot_bias()->data(),
                p->context_weights()->data(),
                p->head_weights()->data(),
                p->head_bias()->data()};
    summary_.parameters += p->past_weights()->size() + p->candidate_weights()->size() +
                           p->slot_bias()->size() + p->context_weights()->size() +
                           p->head_weights()->size() + p->head_bias()->size();
  }
  if (const auto* saved = m.calibration()) {
    Result<Calibration> calibration = calibration_of(*saved);
    if (!calibration) return Error{path + ": " + calibration.error().message};
    calibration_ = std::move(*calibration);
    summary_.calibrated_jobs = calibration_.jobs();
  }
  for (size_t i = 0; i < kCategoryCount; ++i) {
    const auto* field = m.fields()->Get(static_cast<uint32_t>(i));
    field_rows_[i] = {field->missing_row(), field->unknown_row()};
    summary_.categories.emplace_back(std::string(kCategoryNames[i]), field->values()->size());
  }
  for (size_t i = 0; i < kNumberCount; ++i) {
    const auto* number = m.numbers()->Get(static_cast<uint32_t>(i));
    scales_[i] = {number->median(), number->mean(), number->sd() > 0 ? 1 / number->sd() : 0};
  }
  lookup_ = lookup_of(m);
  return Done{};
}

uint32_t ModelFile::dense_inputs() const {
  return static_cast<uint32_t>(kNumberCount + (pointer_ ? kHistoryNumbers : 0));
}

EncodedJob ModelFile::encode(const Features& features) const {
  // All fields at each step before the next, so that their cache misses overlap.
  EncodedJob job;
  std::array<uint64_t, kCategoryCount> mixed;
  std::array<const CategoryEntry*, kCategoryCount> entries;
  for (size_t i = 0; i < kCategoryCount; ++i) {
    mixed[i] = lookup_.mixed(i, features.category[i]);
    __builtin_prefetch(lookup_.pilot(mixed[i]));
  }
  for (size_t i = 0; i < kCategoryCount; ++i) {
    entries[i] = lookup_.entry(mixed[i]);
    __builtin_prefetch(entries[i]);
  }
  for (size_t i = 0; i < kNumberCount; ++i) {
    const float value = std::isnan(features.number[i]) ? scales_[i].median : features.number[i];
    job.numbers[i] = (value - scales_[i].mean) * scales_[i].inverse_sd;
  }
  uint32_t count = 0;
  for (size_t i = 0; i < kCategoryCount; ++i) {
    const FieldRows rows = field_rows_[i];
    const CategoryEntry entry = *entries[i];
    const bool known = CategoryLookup::is_of(entry, mixed[i]) & (rows.unknown >= 0);
    int64_t row = known ? int64_t{entry.row} : int64_t{rows.unknown};
    row = features.category[i] == Features::kMissing ? int64_t{rows.missing} : row;
    job.rows[count] = static_cast<uint32_t>(std::max<int64_t>(row, 0));
    count += row >= 0 ? 1 : 0;
  }
  job.row_count = count;
  return job;
}

}  // namespace auspex
