// SPDX-License-Identifier: Apache-2.0
// OnlineLearner: goes on fitting a pointer network as jobs end: every few hundred submissions one
// pass over what ended since, and as many older jobs, so that it does not forget them.
#pragma once

#include <cstdint>
#include <memory>
#include <queue>
#include <random>
#include <vector>

#include "learn/examples.h"
#include "learn/forecaster.h"
#include "learn/pointer_trainer.h"
#include "learn/vocabulary.h"

namespace auspex {

struct OnlineOptions {
  uint32_t every = 500;          // submissions between two passes
  uint32_t least_ended = 64;     // fewer wait for the next pass
  uint32_t examples = 1U << 18;  // kept; bounds the memory
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
  void submitted(const HistoryJob& job, const HistoryView& view) override;
  Status advance(int64_t now_s) override;

  uint64_t passes() const { return passes_; }

 private:
  OnlineLearner(std::shared_ptr<const RuntimePredictor> predictor, const OnlineOptions& options);
  Status refine();
  void add_ended(size_t count, std::vector<uint32_t>& to);

  struct Ending {
    int64_t end_s;
    uint64_t sequence;
    bool operator>(const Ending& other) const {
      return end_s != other.end_s ? end_s > other.end_s : sequence > other.sequence;
    }
  };

  OnlineOptions options_;
  std::shared_ptr<const RuntimePredictor> predictor_;
  ModelContent content_;
  Vocabulary vocabulary_;
  std::unique_ptr<PointerTrainer> trainer_;
  Examples examples_;
  std::priority_queue<Ending, std::vector<Ending>, std::greater<>> running_;
  std::vector<uint8_t> ended_;   // by example
  std::vector<uint32_t> fresh_;  // examples that ended since the last pass
  uint64_t submissions_ = 0, since_pass_ = 0, passes_ = 0;
  std::mt19937_64 random_;
};

}  // namespace auspex
