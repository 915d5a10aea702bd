// SPDX-License-Identifier: Apache-2.0
#include "learn/baselines.h"

#include <cmath>
#include <span>
#include <utility>

#include "learn/boosted_trees.h"
#include "learn/trainer.h"

namespace auspex {
namespace {

std::vector<float> logs(std::span<const double> runtimes_s) {
  std::vector<float> out;
  for (const double s : runtimes_s) out.push_back(static_cast<float>(std::log(std::max(s, 1.0))));
  return out;
}

Matrix part(const SummaryRows& rows, size_t begin, size_t end) {
  const std::span<const float> values(rows.values);
  return {values.subspan(begin * rows.columns, (end - begin) * rows.columns), end - begin,
          rows.columns};
}

}  // namespace

Result<Scores> score_xgboost(const Evaluation& evaluation, uint64_t seed, uint32_t threads) {
  const SummaryRows& train = evaluation.train;
  const std::vector<float> target = logs(train.runtime_s);
  const size_t rows = target.size(), split = rows - rows / 10;
  const std::span<const float> targets(target);
  BoostedOptions options;
  options.seed = static_cast<int>(seed);
  options.threads = static_cast<int>(threads);
  const Result<BoostedTrees> trees =
      BoostedTrees::tuned(part(train, 0, split), targets.first(split), part(train, split, rows),
                          targets.subspan(split), options);
  if (!trees) return trees.error();
  const SummaryRows& test = evaluation.test;
  const Result<std::vector<float>> predicted = trees->predict(part(test, 0, test.runtime_s.size()));
  if (!predicted) return predicted.error();
  std::vector<double> predicted_s;
  for (const float log_s : *predicted) predicted_s.push_back(std::exp(double{log_s}));
  return score(test, predicted_s);
}

Result<Scores> score_mlp(const std::vector<HistoryJob>& jobs, int64_t point_s, uint64_t seed,
                         uint32_t threads) {
  const std::vector<HistoryJob> train = completed_before(jobs, point_s);
  const Vocabulary vocabulary = Vocabulary::of(train);
  TrainOptions options;
  options.seed = seed;
  options.threads = threads;
  Result<TrainedNetwork> network =
      train_network(train, vocabulary, options, [](const TrainProgress&) {});
  if (!network) return network.error();
  ModelContent content;
  vocabulary.describe(content);
  content.layers = std::move(network->layers);
  Result<std::shared_ptr<const ModelFile>> model = ModelFile::of(content);
  if (!model) return model.error();
  const auto predictor = RuntimePredictor::with(std::move(*model));
  if (!predictor) return predictor.error();
  Scorer scorer;
  for (const HistoryJob& job : jobs) {
    if (job.request.submit_s < point_s) continue;
    const Prediction p = (*predictor)->predict(job.request, HistoryView());
    scorer.add(p.quantile_s(0.5), p.accuracy_point_s, job.runtime_s);
  }
  return scorer.finish();
}

}  // namespace auspex
