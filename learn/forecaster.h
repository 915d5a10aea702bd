// SPDX-License-Identifier: Apache-2.0
// Forecaster: a model as an evaluation plays with it: it predicts, and may learn as jobs end.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/predictor.h"
#include "shared/history/past.h"
#include "shared/history/view.h"
#include "shared/result.h"

namespace auspex {

class Forecaster {
 public:
  virtual ~Forecaster() = default;
  // The model to predict with, until the next advance().
  virtual const RuntimePredictor& predictor() const = 0;
  // A job was submitted or, if it waited, started; view: what was known then. In the order of time.
  virtual void seen(const HistoryJob& job, const HistoryView& view) = 0;
  // It is `now_s`: what ended before it may be learned from. Errors: training failed.
  virtual Status advance(int64_t now_s) = 0;
};

// One that learns nothing more.
class FrozenForecaster final : public Forecaster {
 public:
  explicit FrozenForecaster(std::shared_ptr<const RuntimePredictor> predictor)
      : predictor_(std::move(predictor)) {}
  const RuntimePredictor& predictor() const override { return *predictor_; }
  void seen(const HistoryJob&, const HistoryView&) override {}
  Status advance(int64_t) override { return Done{}; }

 private:
  std::shared_ptr<const RuntimePredictor> predictor_;
};

}  // namespace auspex
