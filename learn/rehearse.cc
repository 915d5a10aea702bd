// SPDX-License-Identifier: Apache-2.0
#include "learn/rehearse.h"

#include <utility>

#include "learn/evaluate.h"
#include "learn/online_learner.h"

namespace auspex {

Result<Scores> rehearse(const std::vector<HistoryJob>& jobs, const RehearsalOptions& options,
                        ModelContent& content, const std::function<void()>& submitted) {
  auto model = ModelFile::of(content);
  if (!model) return model.error();
  auto predictor = RuntimePredictor::with(std::move(*model));
  if (!predictor) return predictor.error();
  OnlineOptions online;
  online.learn_from_s = options.from_s;
  online.training = options.training;
  auto learner = OnlineLearner::resume(std::move(*predictor), online);
  if (!learner) return learner.error();

  EvaluateOptions play;
  play.first_s = options.first_s;
  play.from_s = options.from_s;
  play.until_s = options.until_s;
  play.submitted = submitted;
  const Result<Evaluation> played = evaluate(jobs, **learner, play);
  if (!played) return played.error();
  if (Status ended = (*learner)->advance(options.until_s); !ended) return ended.error();
  if (Status learned = (*learner)->learn_rest(); !learned) return learned.error();
  content = (*learner)->content();
  content.calibration = played->calibration.state();
  return played->auspex;
}

}  // namespace auspex
