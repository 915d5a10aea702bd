// SPDX-License-Identifier: Apache-2.0
#include "learn/vocabulary.h"

#include <algorithm>
#include <cmath>

namespace auspex {
namespace {

struct CategoryCounts {
  std::vector<uint64_t> kept;  // ascending, so that equal histories give equal files
  bool has_missing = false;
  bool has_rare = false;
};

CategoryCounts count_categories(std::span<const HistoryJob> jobs, size_t field) {
  std::unordered_map<uint64_t, uint32_t> counts;
  for (const HistoryJob& job : jobs) ++counts[job.request.features.category[field]];
  CategoryCounts result;
  for (const auto& [hash, count] : counts) {
    if (hash == Features::kMissing) {
      result.has_missing = true;
    } else if (count < kMinCategoryJobs) {
      result.has_rare = true;
    } else {
      result.kept.push_back(hash);
    }
  }
  std::sort(result.kept.begin(), result.kept.end());
  return result;
}

ModelContent::Number scale_of(std::span<const HistoryJob> jobs, size_t index) {
  std::vector<float> values;
  for (const HistoryJob& job : jobs) {
    const float value = job.request.features.number[index];
    if (!std::isnan(value)) values.push_back(value);
  }
  ModelContent::Number number;
  if (values.empty()) return number;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  number.median = *middle;
  values.resize(jobs.size(), number.median);
  double sum = 0, squares = 0;
  for (const float value : values) {
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  const double mean = sum / static_cast<double>(values.size());
  const double sd =
      std::sqrt(std::max(0.0, squares / static_cast<double>(values.size()) - mean * mean));
  number.mean = static_cast<float>(mean);
  // A number that never varied is worth nothing, but a new value must not blow up either.
  constexpr double kMinSd = 1e-3;
  number.sd = sd < kMinSd ? 1.0F : static_cast<float>(sd);
  return number;
}

}  // namespace

Vocabulary Vocabulary::of(std::span<const HistoryJob> jobs, bool ids) {
  Vocabulary vocabulary;
  for (size_t field = 0; field < kCategoryCount; ++field) {
    if (!ids && field != static_cast<size_t>(Category::kHour)) continue;
    const CategoryCounts counts = count_categories(jobs, field);
    const size_t kinds =
        counts.kept.size() + (counts.has_missing ? 1 : 0) + (counts.has_rare ? 1 : 0);
    if (kinds < 2) continue;
    ModelContent::Field& rows = vocabulary.fields_[field];
    rows.unknown_row = static_cast<int32_t>(vocabulary.row_count_++);
    // Never missing in training: that row would stay untrained, the unknown one does not.
    rows.missing_row =
        counts.has_missing ? static_cast<int32_t>(vocabulary.row_count_++) : rows.unknown_row;
    for (const uint64_t hash : counts.kept) {
      rows.rows.emplace_back(hash, vocabulary.row_count_);
      vocabulary.rows_[field].emplace(hash, vocabulary.row_count_++);
    }
  }
  for (size_t index = 0; index < kNumberCount; ++index) {
    vocabulary.numbers_[index] = scale_of(jobs, index);
  }
  return vocabulary;
}

Vocabulary Vocabulary::of(const ModelContent& content) {
  Vocabulary vocabulary;
  vocabulary.fields_ = content.fields;
  vocabulary.numbers_ = content.numbers;
  for (size_t field = 0; field < kCategoryCount; ++field) {
    const ModelContent::Field& rows = content.fields[field];
    uint32_t end = static_cast<uint32_t>(std::max(rows.missing_row, rows.unknown_row) + 1);
    for (const auto& [hash, row] : rows.rows) {
      vocabulary.rows_[field].emplace(hash, row);
      end = std::max(end, row + 1);
    }
    vocabulary.row_count_ = std::max(vocabulary.row_count_, end);
  }
  return vocabulary;
}

std::vector<uint32_t> Vocabulary::unknown_rows() const {
  std::vector<uint32_t> rows;
  for (const ModelContent::Field& field : fields_) {
    if (field.unknown_row >= 0) rows.push_back(static_cast<uint32_t>(field.unknown_row));
  }
  return rows;
}

EncodedJob Vocabulary::encode(const Features& features) const {
  EncodedJob job;
  for (size_t field = 0; field < kCategoryCount; ++field) {
    if (fields_[field].unknown_row < 0) continue;
    auto row = static_cast<uint32_t>(fields_[field].unknown_row);
    if (features.category[field] == Features::kMissing) {
      row = static_cast<uint32_t>(fields_[field].missing_row);
    } else if (const auto found = rows_[field].find(features.category[field]);
               found != rows_[field].end()) {
      row = found->second;
    }
    job.rows[job.row_count++] = row;
  }
  for (size_t index = 0; index < kNumberCount; ++index) {
    const ModelContent::Number& scale = numbers_[index];
    const float value = features.number[index];
    job.numbers[index] = ((std::isnan(value) ? scale.median : value) - scale.mean) / scale.sd;
  }
  return job;
}

void Vocabulary::describe(ModelContent& content) const {
  content.fields = fields_;
  content.numbers = numbers_;
}

}  // namespace auspex
