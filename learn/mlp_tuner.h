// SPDX-License-Identifier: Apache-2.0
// MlpTuner: a model of the paper's network learns to say in its precisions what it says in FP32.
// Its layers have batch norm folded in, so there is none. No torch type appears here.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "learn/dataset.h"
#include "learn/vocabulary.h"
#include "shared/model_file.h"
#include "shared/result.h"

namespace auspex {

struct MlpTuneOptions {
  uint32_t passes = 1;
  uint32_t batch = 128;
  double learning_rate = 1e-3;  // at its height; falls along a cosine
  uint64_t seed = 1;
  uint32_t threads = 1;
};

class MlpTuner {
 public:
  // Errors: the model has a pointer, or is not of this vocabulary; libtorch gave up.
  static Result<MlpTuner> resume(const Vocabulary& vocabulary, const ModelContent& content,
                                 const MlpTuneOptions& options);
  ~MlpTuner();
  MlpTuner(MlpTuner&&) noexcept;
  MlpTuner& operator=(MlpTuner&&) noexcept;

  // As PointerTrainer::imitate(). progress: after each step, with the jobs of all passes.
  // Errors: the loss is not finite, libtorch gave up.
  Status imitate(std::span<const HistoryJob> jobs,
                 const std::function<void(uint64_t jobs_done)>& progress);

  // What the network says: what Network::predict() of its model does.
  // Shape: -> [jobs][kOutputCount]. Errors: libtorch gave up.
  Result<std::vector<float>> predict(std::span<const HistoryJob> jobs) const;

  // Fills layers.
  void describe(ModelContent& content) const;

 private:
  class Work;
  explicit MlpTuner(std::unique_ptr<Work> work);
  std::unique_ptr<Work> work_;
};

}  // namespace auspex
