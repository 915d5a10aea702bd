// SPDX-License-Identifier: Apache-2.0
// Vocabulary: which row of the first layer stands for which category, and how numbers are scaled.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "learn/dataset.h"
#include "shared/model_file.h"

namespace auspex {

// Rarer categories share their field's "unknown" row, so that this row is trained on the kind of
// job it will stand for. Source: our choice; two jobs say little about a third.
inline constexpr uint32_t kMinCategoryJobs = 3;

class Vocabulary {
 public:
  // Fields that tell the jobs apart in no way are left out: no rows at all.
  // ids: without them only what means the same at every site stays: the hour.
  static Vocabulary of(std::span<const HistoryJob> jobs, bool ids = true);

  // That of a model, to go on from it.
  static Vocabulary of(const ModelContent& content);

  // Whether it tells owners of jobs apart: users or, where a history names none, accounts.
  bool knows_owners() const {
    const auto used = [this](Category field) {
      return fields_[static_cast<size_t>(field)].unknown_row >= 0;
    };
    return used(Category::kUser) || used(Category::kAccount);
  }

  uint32_t row_count() const { return row_count_; }

  // The "unknown" row of each field in use, in the order of encode()'s rows.
  std::vector<uint32_t> unknown_rows() const;

  // What ModelFile::encode makes of the same features, before there is a file. One row per field
  // in use.
  EncodedJob encode(const Features& features) const;

  // Fills the parts of a model that say how to encode.
  void describe(ModelContent& content) const;

 private:
  std::array<ModelContent::Field, kCategoryCount> fields_;
  std::array<std::unordered_map<uint64_t, uint32_t>, kCategoryCount> rows_;
  std::array<ModelContent::Number, kNumberCount> numbers_;
  uint32_t row_count_ = 0;
};

}  // namespace auspex
