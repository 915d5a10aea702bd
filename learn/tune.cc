// SPDX-License-Identifier: Apache-2.0
#include "learn/tune.h"

#include <algorithm>
#include <string>

#include "learn/dataset.h"
#include "learn/examples.h"
#include "learn/mlp_tuner.h"
#include "learn/pointer_trainer.h"
#include "learn/trainer.h"

namespace auspex {
namespace {

// Source: ours; three times as much changed what 2:4 costs on Cedar by .001.
constexpr double kLearningRate = 1e-3;

Status tune_pointer(const std::vector<HistoryJob>& jobs, int64_t first_s,
                    const TuneOptions& options, const std::function<void(double)>& progress,
                    ModelContent& content) {
  const Vocabulary vocabulary = Vocabulary::of(content);
  PointerOptions training;
  training.epochs = options.passes;
  training.learning_rate = kLearningRate;
  training.seed = options.seed;
  training.threads = options.threads;
  Result<PointerTrainer> trainer = PointerTrainer::resume(vocabulary, content, training);
  if (!trainer) return trainer.error();
  const Examples examples = examples_of(jobs, vocabulary, first_s, options.until_s);
  const Status fitted = trainer->imitate(examples, [&](const PointerProgress& p) {
    progress((p.epoch - 1 + static_cast<double>(p.jobs_done) / static_cast<double>(p.jobs)) /
             options.passes);
  });
  if (!fitted) return fitted;
  trainer->describe(content);
  return Done{};
}

Status tune_mlp(const std::vector<HistoryJob>& known, const TuneOptions& options,
                const std::function<void(double)>& progress, ModelContent& content) {
  const Vocabulary vocabulary = Vocabulary::of(content);
  MlpTuneOptions training;
  training.passes = options.passes;
  training.learning_rate = kLearningRate;
  training.seed = options.seed;
  training.threads = options.threads;
  Result<MlpTuner> tuner = MlpTuner::resume(vocabulary, content, training);
  if (!tuner) return tuner.error();
  const double all = static_cast<double>(known.size()) * options.passes;
  const Status fitted =
      tuner->imitate(known, [&](uint64_t done) { progress(static_cast<double>(done) / all); });
  if (!fitted) return fitted;
  tuner->describe(content);
  return Done{};
}

}  // namespace

Result<size_t> tune(const std::vector<HistoryJob>& jobs, const TuneOptions& options,
                    const std::function<void(double)>& progress, ModelContent& content) {
  std::vector<HistoryJob> known = completed_before(jobs, options.until_s);
  if (known.size() < kMinTrainJobs) {
    return Error{"tuning: " + std::to_string(known.size()) +
                 " jobs submitted and ended before the comparison are too few, " +
                 std::to_string(kMinTrainJobs) + " are needed"};
  }
  if (std::ranges::all_of(content.precisions,
                          [](Precision precision) { return precision == Precision::kFp32; })) {
    return known.size();
  }
  known.erase(known.begin(), known.end() - static_cast<std::ptrdiff_t>(
                                               std::min<size_t>(known.size(), options.window)));
  const Status tuned = content.pointer ? tune_pointer(jobs, known.front().request.submit_s, options,
                                                      progress, content)
                                       : tune_mlp(known, options, progress, content);
  if (!tuned) return tuned.error();
  return known.size();
}

}  // namespace auspex
