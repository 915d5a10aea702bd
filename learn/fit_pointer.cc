// SPDX-License-Identifier: Apache-2.0
#include "learn/fit_pointer.h"

#include <algorithm>
#include <string>

#include "learn/dataset.h"
#include "learn/play.h"
#include "learn/trainer.h"

namespace auspex {

Result<FittedPointer> fit_pointer(const std::vector<HistoryJob>& jobs, const FitOptions& options,
                                  const std::function<void(const PointerProgress&)>& progress) {
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
  const Vocabulary vocabulary = Vocabulary::of(known, options.ids);
  known = {};

  Examples examples(vocabulary);
  JobHistory history;
  HistoryView view{};
  const Status played =
      play(jobs, options.until_s, history,
           [&](Moment, uint32_t index, int64_t now_s, const JobHistory& known_then) -> Status {
             const HistoryJob& job = jobs[index];
             if (job.request.submit_s < out.first_s || job.end_s >= options.until_s) return Done{};
             known_then.view(job.request, now_s, view);
             examples.add(job, view);
             return Done{};
           });
  if (!played) return played.error();

  PointerTrainer trainer(vocabulary, options.training);
  if (Status fitted = trainer.fit(examples, progress); !fitted) return fitted.error();
  vocabulary.describe(out.content);
  trainer.describe(out.content);
  return out;
}

}  // namespace auspex
