// SPDX-License-Identifier: Apache-2.0
#include "learn/online_learner.h"

#include <algorithm>
#include <utility>

namespace auspex {

OnlineLearner::OnlineLearner(std::shared_ptr<const RuntimePredictor> predictor,
                             const OnlineOptions& options)
    : options_(options),
      predictor_(std::move(predictor)),
      content_(predictor_->model().content()),
      vocabulary_(Vocabulary::of(content_)),
      examples_(vocabulary_),
      random_(options.training.seed) {}

Result<std::unique_ptr<OnlineLearner>> OnlineLearner::resume(
    std::shared_ptr<const RuntimePredictor> predictor, const OnlineOptions& options) {
  std::unique_ptr<OnlineLearner> learner(new OnlineLearner(std::move(predictor), options));
  Result<PointerTrainer> trainer =
      PointerTrainer::resume(learner->vocabulary_, learner->content_, options.training);
  if (!trainer) return trainer.error();
  learner->trainer_ = std::make_unique<PointerTrainer>(std::move(*trainer));
  return learner;
}

void OnlineLearner::submitted(const HistoryJob& job, const HistoryView& view) {
  const auto place = static_cast<size_t>(submissions_ % options_.examples);
  examples_.put(place, job, view);
  ended_.resize(std::max(ended_.size(), place + 1));
  ended_[place] = 0;
  running_.push({job.end_s, submissions_++});
  if (job.request.submit_s >= options_.learn_from_s) ++since_pass_;
}

Status OnlineLearner::advance(int64_t now_s) {
  while (!running_.empty() && running_.top().end_s < now_s) {
    const Ending ending = running_.top();
    running_.pop();
    if (submissions_ - ending.sequence > options_.examples) continue;  // overwritten
    const auto place = static_cast<uint32_t>(ending.sequence % options_.examples);
    ended_[place] = 1;
    if (ending.end_s >= options_.learn_from_s) fresh_.push_back(place);
  }
  if (since_pass_ < options_.every || fresh_.size() < options_.least_ended) return Done{};
  since_pass_ = 0;
  return refine();
}

// Needs one that ended.
void OnlineLearner::add_ended(size_t count, std::vector<uint32_t>& to) {
  std::uniform_int_distribution<size_t> anywhere(0, examples_.size() - 1);
  while (count > 0) {
    const size_t place = anywhere(random_);
    if (ended_[place] == 0) continue;
    to.push_back(static_cast<uint32_t>(place));
    --count;
  }
}

Status OnlineLearner::refine() {
  // A later job may have taken the place of one that had ended.
  std::erase_if(fresh_, [this](uint32_t place) { return ended_[place] == 0; });
  add_ended(fresh_.size(), fresh_);
  const Status refined = trainer_->refine(examples_, std::exchange(fresh_, {}));
  if (!refined) return refined;
  trainer_->describe(content_);
  Result<std::shared_ptr<const ModelFile>> model = ModelFile::of(content_);
  if (!model) return model.error();
  auto predictor = RuntimePredictor::with(std::move(*model), predictor_->backend());
  if (!predictor) return predictor.error();
  predictor_ = std::move(*predictor);
  ++passes_;
  return Done{};
}

}  // namespace auspex
