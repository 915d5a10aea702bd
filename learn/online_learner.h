// SPDX-License-Identifier: Apache-2.0
// OnlineLearner: a forecaster that goes on fitting a pointer network as jobs end: every few hundred
// submissions one pass over what ended since, and as many older jobs.
#pragma once

#include <cstdint>
#include <memory>
#include <queue>
#include <vector>

#include "learn/example_pool.h"
#include "learn/forecaster.h"
#include "learn/pointer_trainer.h"
#include "learn/vocabulary.h"

namespace auspex {

struct OnlineOptions {
  uint32_t every = 500;          // submissions and starts between two passes
  uint32_t least_ended = 64;     // fewer wait for the next pass
  uint32_t examples = 1U << 18;  // kept
  // Jobs submitted before are what the model was trained on: only kept, to be learned again.
  int64_t learn_from_s = 0;
  PointerOptions training;
};

class OnlineLearner final : public Forecaster {
 public:
  // Errors: the model is no pointer network that this build trains.
  static Result<std::unique_ptr<OnlineLearner>> resume(
      std::shared_ptr<const RuntimePredictor> predictor, const OnlineOptions& options);

  const RuntimePredictor& predictor() const override { return *predictor_; }
  void seen(const HistoryJob& job, const HistoryView& view) override;
  Status advance(int64_t now_s) override;
  // What ended since the last pass, however little it is.
  Status learn_rest();
  // The network as it is now; without a calibration.
  const ModelContent& content() const { return content_; }

 private:
  OnlineLearner(std::shared_ptr<const RuntimePredictor> predictor, const OnlineOptions& options);
  Status refine();

  struct End {
    int64_t end_s;
    uint64_t number;
    double runtime_s;
    bool operator>(const End& other) const {
      return end_s != other.end_s ? end_s > other.end_s : number > other.number;
    }
  };

  OnlineOptions options_;
  std::shared_ptr<const RuntimePredictor> predictor_;
  ModelContent content_;
  Vocabulary vocabulary_;
  std::unique_ptr<PointerTrainer> trainer_;
  ExamplePool pool_;
  std::priority_queue<End, std::vector<End>, std::greater<>> running_;
  uint64_t since_pass_ = 0;
};

}  // namespace auspex
