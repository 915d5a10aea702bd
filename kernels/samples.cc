// SPDX-License-Identifier: Apache-2.0
#include "kernels/samples.h"

#include <random>

namespace auspex {
namespace {

constexpr uint32_t kSeed = 5;

}  // namespace

std::vector<EncodedJob> sample_jobs(const ModelFile& model, size_t count) {
  std::mt19937 random(kSeed);
  std::normal_distribution<float> normal;
  const uint32_t rows = model.layers().front().inputs - model.dense_inputs();
  std::vector<EncodedJob> jobs(count);
  for (EncodedJob& job : jobs) {
    job.row_count = rows > 0 ? kCategoryCount : 0;
    for (uint32_t i = 0; i < job.row_count; ++i) {
      job.rows[i] = static_cast<uint32_t>(random() % rows);
    }
    for (float& number : job.numbers) number = normal(random);
  }
  return jobs;
}

std::vector<HistoryView> sample_views(size_t count) {
  std::mt19937 random(kSeed);
  std::normal_distribution<float> normal;
  std::vector<HistoryView> views(count);
  for (HistoryView& view : views) {
    view.log_limit_s = 11;  // most of a day
    for (size_t i = 0; i < kItems; ++i) {
      view.log_s[i] = 7 + normal(random);
      for (float& input : view.item[i]) input = normal(random);
    }
    for (float& number : view.number) number = normal(random);
  }
  return views;
}

}  // namespace auspex
