// SPDX-License-Identifier: Apache-2.0
#include "learn/fit_pointer.h"

#include <algorithm>
#include <string>

#include "learn/dataset.h"
#include "learn/rehearse.h"
#include "learn/trainer.h"

namespace auspex {
namespace {

// Source: our choice; the more, the better is known what a promise is worth, and the less is
// fitted.
constexpr double kRehearsedShare = 0.1;

// Categories of which no example was fitted begin as unknown ones.
void start_as_unknown(const Examples& fitted, ModelContent& content) {
  ModelContent::Layer& first = content.layers.front();
  std::vector<uint8_t> known(first.inputs, 0);
  for (const int32_t row : fitted.rows) known[static_cast<size_t>(row)] = 1;
  const auto row_at = [&first](int64_t row) {
    return first.weights.begin() + static_cast<std::ptrdiff_t>(row * first.outputs);
  };
  for (const ModelContent::Field& field : content.fields) {
    const auto start = [&](int64_t row) {
      if (row < 0 || known[static_cast<size_t>(row)] != 0) return;
      std::copy_n(row_at(field.unknown_row), first.outputs, row_at(row));
    };
    start(field.missing_row);
    for (const auto& [hash, row] : field.rows) start(row);
  }
}

Result<ModelContent> fitted(const Examples& examples, const Vocabulary& vocabulary,
                            const FitOptions& options, const FitProgress& progress) {
  PointerTrainer trainer(vocabulary, options.training);
  if (Status fitted = trainer.fit(examples, progress.fitted); !fitted) return fitted.error();
  ModelContent content;
  vocabulary.describe(content);
  trainer.describe(content);
  start_as_unknown(examples, content);
  return content;
}

}  // namespace

Result<FittedPointer> fit_pointer(const std::vector<HistoryJob>& jobs, const FitOptions& options,
                                  const FitProgress& progress) {
  std::vector<HistoryJob> known = completed_before(jobs, options.until_s);
  if (known.size() < kMinTrainJobs) {
    return Error{"training: " + std::to_string(known.size()) + " usable jobs are too few, " +
                 std::to_string(kMinTrainJobs) + " are needed"};
  }
  known.erase(known.begin(), known.end() - static_cast<std::ptrdiff_t>(
                                               std::min<size_t>(known.size(), options.window)));
  FittedPointer out;
  out.jobs = known.size();
  out.first_s = known.front().request.submit_s;
  out.last_s = known.back().request.submit_s;
  const int64_t point_s = submit_point_s(known, 1 - kRehearsedShare);
  const auto ended = static_cast<size_t>(
      std::count_if(known.begin(), known.end(),
                    [point_s](const HistoryJob& job) { return job.end_s < point_s; }));
  if (Status enough = enough_to_fit(ended, out.jobs); !enough) return enough.error();
  // The rehearsed jobs' names and scales, too: what is learned from them needs rows.
  const Vocabulary vocabulary = Vocabulary::of(known, options.ids);
  known = {};
  {
    const Examples examples = examples_of(jobs, vocabulary, out.first_s, point_s);
    Result<ModelContent> content = fitted(examples, vocabulary, options, progress);
    if (!content) return content.error();
    out.content = std::move(*content);
  }
  RehearsalOptions rehearsal;
  rehearsal.first_s = out.first_s;
  rehearsal.from_s = point_s;
  rehearsal.until_s = options.until_s;
  rehearsal.training = options.training;
  uint64_t submission = 0;
  const Result<Scores> rehearsed =
      rehearse(jobs, rehearsal, out.content, [&] { progress.rehearsed(++submission); });
  if (!rehearsed) return rehearsed.error();
  out.rehearsed = *rehearsed;
  // Who its users were is nothing that another site should see.
  if (!vocabulary.knows_owners()) out.content.calibration.users.clear();
  return out;
}

}  // namespace auspex
