// SPDX-License-Identifier: Apache-2.0
#include "learn/online_learner.h"

#include <utility>

namespace auspex {
namespace {

// Without the model's own precisions: of a list of several no backend has the name.
std::string_view backend_of(const RuntimePredictor& predictor) {
  const std::string own = predictor.model().summary().precision + "-";
  const std::string_view backend = predictor.backend();
  return backend.starts_with(own) ? backend.substr(own.size()) : backend;
}

}  // namespace

OnlineLearner::OnlineLearner(std::shared_ptr<const RuntimePredictor> predictor,
                             const OnlineOptions& options)
    : options_(options),
      predictor_(std::move(predictor)),
      content_(predictor_->model().content()),
      vocabulary_(Vocabulary::of(content_)),
      pool_(vocabulary_, options.examples, options.training.seed) {
  content_.calibration = {};
}

Result<std::unique_ptr<OnlineLearner>> OnlineLearner::resume(
    std::shared_ptr<const RuntimePredictor> predictor, const OnlineOptions& options) {
  std::unique_ptr<OnlineLearner> learner(new OnlineLearner(std::move(predictor), options));
  Result<PointerTrainer> trainer =
      PointerTrainer::resume(learner->vocabulary_, learner->content_, options.training);
  if (!trainer) return trainer.error();
  learner->trainer_ = std::make_unique<PointerTrainer>(std::move(*trainer));
  return learner;
}

void OnlineLearner::seen(const HistoryJob& job, const HistoryView& view) {
  running_.push({job.end_s, pool_.put(job.request, view), job.runtime_s});
  if (job.request.submit_s >= options_.learn_from_s) ++since_pass_;
}

Status OnlineLearner::advance(int64_t now_s) {
  while (!running_.empty() && running_.top().end_s < now_s) {
    const End end = running_.top();
    running_.pop();
    pool_.end(end.number, end.runtime_s, end.end_s >= options_.learn_from_s);
  }
  if (since_pass_ < options_.every || pool_.fresh() < options_.least_ended) return Done{};
  since_pass_ = 0;
  return refine();
}

Status OnlineLearner::learn_rest() {
  return pool_.fresh() > 0 ? refine() : Done{};
}

Status OnlineLearner::refine() {
  if (Status refined = trainer_->refine(pool_.examples(), pool_.take()); !refined) return refined;
  trainer_->describe(content_);
  Result<std::shared_ptr<const ModelFile>> model = ModelFile::of(content_);
  if (!model) return model.error();
  auto predictor = RuntimePredictor::with(std::move(*model), backend_of(*predictor_));
  if (!predictor) return predictor.error();
  predictor_ = std::move(*predictor);
  return Done{};
}

}  // namespace auspex
