// SPDX-License-Identifier: Apache-2.0
// ModelFile: one checksummed, schema-checked file, used as it lies in memory.
//
// It is read into a mapping of our own rather than mapped itself: a file that somebody overwrites
// in place would change under the daemon, and one cut short would end it with SIGBUS.
//
// Layout: 64 header bytes (magic "AUSPEXMF", u32 version, u32 zero, u64 payload bytes, u64 XXH3 of
// the payload, zeros), then the FlatBuffer of model.fbs. Little-endian.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "shared/calibration.h"
#include "shared/category_lookup.h"
#include "shared/features.h"
#include "shared/history/view.h"
#include "shared/precision.h"
#include "shared/result.h"

namespace auspex {

inline constexpr uint32_t kModelFileVersion = 3;

// One job as the network reads it: rows of the first layer to sum, and z-scored numbers.
struct EncodedJob {
  std::array<uint32_t, kCategoryCount> rows{};
  uint32_t row_count = 0;
  std::array<float, kNumberCount> numbers{};
};

struct LayerView {
  uint32_t inputs = 0;
  uint32_t outputs = 0;
  const float* weights = nullptr;  // Shape: [inputs][outputs]
  const float* bias = nullptr;     // Shape: [outputs]
  bool relu = false;
  Precision precision = Precision::kFp32;  // it is loaded in; the weights here are not rounded
};

// Behind the trunk of a pointer network; see model.fbs.
struct PointerView {
  uint32_t width = 0;
  const float* past_weights = nullptr;       // Shape: [kItemInputs][width]
  const float* candidate_weights = nullptr;  // Shape: [kItemInputs][width]
  const float* slot_bias = nullptr;          // Shape: [kItems][width]
  const float* context_weights = nullptr;    // Shape: [inputs of the last layer][width]
  const float* head_weights = nullptr;       // Shape: [kItemHeads][width]
  const float* head_bias = nullptr;          // Shape: [kItems][kItemHeads]
};

struct ModelSummary {
  std::string id;  // first 8 hex digits of the checksum
  std::string trained_on;
  int64_t created_s = 0;
  uint64_t bytes = 0;
  uint64_t parameters = 0;
  std::vector<std::pair<std::string, uint32_t>> categories;  // field -> known values; unused: 0
  std::vector<uint32_t> layer_sizes;                         // inputs, hidden..., outputs
  uint64_t calibrated_jobs = 0;                              // that its calibration knows
  std::string precision;                                     // precisions_text() of its layers
};

struct ModelContent;

class ModelFile {
 public:
  // Errors: names the file and what is wrong: absent, truncated, altered (checksum), newer
  // version, other feature version, shapes that do not fit. Threads: the result is immutable.
  static Result<std::shared_ptr<const ModelFile>> open(const std::string& path);

  // A model that never was a file. Errors: shapes that do not fit; those of model_bytes.
  static Result<std::shared_ptr<const ModelFile>> of(const ModelContent& content);

  // What it was made of, to go on training from.
  ModelContent content() const;

  ~ModelFile();
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  // An unseen value takes its field's "unknown" row, a missing one its "missing" row. One of 2^32
  // unseen values is taken for a known one.
  EncodedJob encode(const Features& features) const;

  std::span<const LayerView> layers() const { return layers_; }
  // nullptr: the paper's network, whose last layer gives the outputs of a prediction.
  const PointerView* pointer() const { return pointer_ ? &*pointer_ : nullptr; }
  // Inputs of the first layer behind the one-hot rows.
  uint32_t dense_inputs() const;
  uint32_t max_width() const { return max_width_; }  // widest layer output
  // How well its promises held when it was trained; empty without a pointer.
  const Calibration& calibration() const { return calibration_; }
  const ModelSummary& summary() const { return summary_; }

 private:
  ModelFile() = default;
  Status bind(const std::string& path);
  static Result<std::shared_ptr<ModelFile>> with_memory(size_t size, const std::string& path);

  const uint8_t* memory_ = nullptr;
  size_t memory_size_ = 0;
  std::vector<LayerView> layers_;
  std::optional<PointerView> pointer_;
  uint32_t max_width_ = 0;
  CategoryLookup lookup_;
  struct FieldRows {
    int32_t missing, unknown;
  };
  std::array<FieldRows, kCategoryCount> field_rows_{};
  struct Scale {
    float median, mean, inverse_sd;
  };
  std::array<Scale, kNumberCount> scales_{};
  Calibration calibration_;
  ModelSummary summary_;
};

// What a trainer hands over. Row numbers: [0, one-hot rows), then the
// numbers' rows, then those of the history if there is a pointer.
struct ModelContent {
  struct Field {
    int32_t missing_row = -1, unknown_row = -1;
    std::vector<std::pair<uint64_t, uint32_t>> rows;  // category hash -> row; a model's ascend
  };
  struct Number {
    float median = 0, mean = 0, sd = 1;
  };
  struct Layer {
    uint32_t inputs = 0, outputs = 0;
    std::vector<float> weights, bias;  // Shape: [inputs][outputs], [outputs]
    bool relu = false;
  };
  struct Pointer {  // shapes: PointerView
    uint32_t width = 0;
    std::vector<float> past_weights, candidate_weights, slot_bias, context_weights, head_weights,
        head_bias;
  };
  std::string trained_on;
  int64_t created_s = 0;
  std::vector<Precision> precisions;  // of the layers; empty: FP32. Learning on keeps them
  std::array<Field, kCategoryCount> fields;
  std::array<Number, kNumberCount> numbers;
  std::vector<Layer> layers;
  std::optional<Pointer> pointer;
  CalibrationState calibration;
};

// The bytes of the file, the same for any order of a field's rows. Shape: header, then FlatBuffer.
// Errors: a category that is twice in a field.
Result<std::vector<uint8_t>> model_bytes(const ModelContent& content);

// Written beside the target, synced, then renamed: the old file stays until the new one is whole.
Status write_model_file(const std::string& path, const ModelContent& content);

}  // namespace auspex
