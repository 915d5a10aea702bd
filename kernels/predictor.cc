// SPDX-License-Identifier: Apache-2.0
#include "kernels/predictor.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "shared/units.h"

namespace auspex {

Result<std::shared_ptr<const RuntimePredictor>> RuntimePredictor::load(
    const std::string& model_path, std::string_view backend_name) {
  auto backend = make_backend(backend_name);
  if (!backend) return backend.error();
  auto model = ModelFile::open(model_path);
  if (!model) return model.error();
  return std::shared_ptr<const RuntimePredictor>(
      new RuntimePredictor(std::move(*model), std::move(*backend)));
}

Prediction RuntimePredictor::predict(const Submission& submission) const {
  const auto start = std::chrono::steady_clock::now();
  const EncodedJob job = model_->encode(features_of(submission));
  float outputs[kOutputCount];
  backend_->predict(*model_, {&job, 1}, outputs);
  const auto limit_min = submission.time_limit_min.value_or(kUnlimitedMin);
  Prediction prediction = prediction_from_outputs(
      outputs,
      limit_min == kUnlimitedMin ? std::numeric_limits<double>::infinity() : 60.0 * limit_min);
  prediction.model = model_->summary().id;
  prediction.backend = backend_->name();
  prediction.latency_us =
      std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
  return prediction;
}

std::vector<Prediction> RuntimePredictor::predict(std::span<const Features> jobs,
                                                  std::span<const double> limits_s) const {
  constexpr size_t kChunk = 1024;  // bounds the memory, not the speed
  std::vector<Prediction> predictions;
  predictions.reserve(jobs.size());
  std::vector<EncodedJob> encoded;
  std::vector<float> outputs(kChunk * kOutputCount);
  for (size_t begin = 0; begin < jobs.size(); begin += kChunk) {
    const size_t count = std::min(kChunk, jobs.size() - begin);
    encoded.clear();
    for (size_t i = 0; i < count; ++i) encoded.push_back(model_->encode(jobs[begin + i]));
    backend_->predict(*model_, encoded, outputs.data());
    for (size_t i = 0; i < count; ++i) {
      predictions.push_back(
          prediction_from_outputs(&outputs[i * kOutputCount], limits_s[begin + i]));
      predictions.back().model = model_->summary().id;
      predictions.back().backend = backend_->name();
    }
  }
  return predictions;
}

}  // namespace auspex
