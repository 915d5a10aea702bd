// SPDX-License-Identifier: Apache-2.0
#include "learn/examples.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "learn/play.h"

namespace auspex {

Examples::Examples(const Vocabulary& vocabulary)
    : vocabulary_(&vocabulary), fields_(vocabulary.unknown_rows().size()) {}

void Examples::put(size_t place, const HistoryRequest& request, const HistoryView& view) {
  constexpr size_t kNumbers = kNumberCount + kHistoryNumbers;
  if (place == size()) {
    rows.resize((place + 1) * fields_);
    numbers.resize((place + 1) * kNumbers);
    log_s.resize((place + 1) * kItems);
    items.resize((place + 1) * kItems * kItemInputs);
    log_limit.resize(place + 1);
    log_runtime.resize(place + 1);
    censored.resize(place + 1);
  }
  const EncodedJob encoded = vocabulary_->encode(request.features);
  std::copy_n(encoded.rows.begin(), encoded.row_count, &rows[place * fields_]);
  std::copy(encoded.numbers.begin(), encoded.numbers.end(), &numbers[place * kNumbers]);
  std::copy(view.number.begin(), view.number.end(), &numbers[place * kNumbers + kNumberCount]);
  std::copy(view.log_s.begin(), view.log_s.end(), &log_s[place * kItems]);
  uint16_t* half = &items[place * kItems * kItemInputs];
  for (const auto& inputs : view.item) {
    for (const float input : inputs) {
      *half++ = std::bit_cast<uint16_t>(static_cast<_Float16>(input));
    }
  }
  log_limit[place] = view.log_limit_s;
}

void Examples::end(size_t place, double runtime_s) {
  static const auto log_share = static_cast<float>(std::log(kAtLimitShare));
  const auto ran = static_cast<float>(std::log(std::max(runtime_s, 1.0)));
  log_runtime[place] = ran;
  censored[place] = ran >= log_limit[place] + log_share ? 1 : 0;
}

Examples examples_of(const std::vector<HistoryJob>& jobs, const Vocabulary& vocabulary,
                     int64_t first_s, int64_t until_s) {
  Examples examples(vocabulary);
  JobHistory history;
  HistoryView view{};
  const auto add = [&](Moment, uint32_t index, int64_t now_s, const JobHistory& known,
                       std::optional<CalibratedLogs>&) -> Status {
    const HistoryJob& job = jobs[index];
    if (job.request.submit_s < first_s || job.end_s >= until_s) return Done{};
    known.view(job.request, now_s, view);
    examples.add(job, view);
    return Done{};
  };
  static_cast<void>(play(jobs, until_s, history, add));  // add() cannot fail
  return examples;
}

}  // namespace auspex
