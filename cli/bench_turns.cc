// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>
#include <set>

#include "cli/bench.h"
#include "cli/bench_floor.h"

namespace auspex::cli {
namespace {

constexpr uint64_t kRounds = 5;
constexpr uint64_t kColdTrials = 200;
// Filling the caches counts in a cold row's time.
constexpr double kColdShare = 2;

struct Turn {
  Contestant* contestant;
  std::vector<double> times_us;
  double spent_s = 0;  // in its calls
};

// What is measured together: one batch, warm or cold.
struct Heat {
  uint32_t batch;
  bool cold;
};

std::string name_of(const BenchLabel& label) {
  return label.technique + " " + label.backend + " " + label.precision + " " + label.sparsity +
         " " + label.input;
}

class Contest {
 public:
  Contest(Contestants& contestants, const BenchPace& pace, const std::function<void()>& step,
          const std::function<void(const std::string&)>& remark)
      : contestants_(contestants), pace_(pace), step_(step), remark_(remark) {}

  std::vector<Turn> run(const Heat& heat) {
    CallRound round;
    round.batch = heat.batch;
    round.cold = heat.cold;
    const uint64_t trials = heat.cold ? std::min(kColdTrials, pace_.trials) : pace_.trials;
    const double row_s = heat.cold ? kColdShare * pace_.row_s : pace_.row_s;
    const uint64_t each = (trials + kRounds - 1) / kRounds;
    round.seconds = row_s / kRounds;

    std::vector<Turn> turns;
    for (const auto& contestant : contestants_) {
      if (!contestant->takes(heat.batch) || out_.contains(contestant.get())) continue;
      if (expected_s(*contestant, heat.batch) > pace_.longest_s) {
        if (too_slow_.emplace(contestant.get(), heat.batch).second) {
          remark_(name_of(contestant->label()) + ": too slow from batches of " +
                  std::to_string(heat.batch) + " on");
        }
        continue;
      }
      turns.push_back({contestant.get(), {}});
    }
    for (uint64_t number = 0; number < kRounds; ++number) {
      for (Turn& turn : turns) {
        const bool over = turn.spent_s > row_s || turn.times_us.size() >= trials;
        round.trials = std::min(each, trials - std::min<uint64_t>(trials, turn.times_us.size()));
        if (!over && !out_.contains(turn.contestant)) take(turn, round);
        step_();
      }
    }
    std::erase_if(turns, [&](const Turn& turn) { return out_.contains(turn.contestant); });
    if (!heat.cold) {
      for (Turn& turn : turns) last_[turn.contestant] = {heat.batch, quantile(turn.times_us, 0.5)};
    }
    return turns;
  }

 private:
  void take(Turn& turn, const CallRound& round) {
    const Result<std::vector<double>> times_us = turn.contestant->run(round);
    if (!times_us) {
      out_.insert(turn.contestant);
      const std::string& why = times_us.error().message;
      if (!why.empty()) remark_(name_of(turn.contestant->label()) + ": " + why);
      return;
    }
    for (const double time_us : *times_us) turn.spent_s += 1e-6 * time_us;
    turn.times_us.insert(turn.times_us.end(), times_us->begin(), times_us->end());
  }

  double expected_s(const Contestant& contestant, uint32_t batch) const {
    const auto found = last_.find(&contestant);
    if (found == last_.end()) return 0;
    return 1e-6 * found->second.second * batch / found->second.first;
  }

  Contestants& contestants_;
  const BenchPace& pace_;
  const std::function<void()>& step_;
  const std::function<void(const std::string&)>& remark_;
  std::set<const Contestant*> out_;
  std::map<const Contestant*, uint32_t> too_slow_;
  std::map<const Contestant*, std::pair<uint32_t, double>> last_;  // batch, median in us
};

}  // namespace

std::vector<BenchRow> take_turns(Contestants& contestants, const std::string& hidden,
                                 const BenchPace& pace,
                                 const std::function<void(double share)>& step,
                                 const std::function<void(const std::string&)>& remark) {
  std::vector<Heat> heats;
  for (const uint32_t batch : pace.batches) heats.push_back({batch, false});
  for (const uint32_t batch : pace.cold_batches) heats.push_back({batch, true});
  add_floors(contestants);
  size_t done = 0;
  const std::function<void()> turn_over = [&] {
    ++done;
    const double turns = static_cast<double>(kRounds * contestants.size() * heats.size());
    step(static_cast<double>(done) / turns);
  };
  Contest contest(contestants, pace, turn_over, remark);
  std::vector<BenchRow> rows;
  for (const Heat& heat : heats) {
    std::vector<Turn> turns = contest.run(heat);
    std::map<uint64_t, double> floors_us;
    for (Turn& turn : turns) {
      if (!is_floor(*turn.contestant)) continue;
      floors_us[turn.contestant->bytes()] = quantile(turn.times_us, 0.5);
    }
    for (Turn& turn : turns) {
      if (is_floor(*turn.contestant)) continue;
      BenchRow row{turn.contestant->label(), hidden, heat.batch, heat.cold, turn.times_us.size()};
      row.median_us = quantile(turn.times_us, 0.5);
      row.p99_us = quantile(turn.times_us, 0.99);
      if (heat.batch == 1 && turn.contestant->bytes() > 0) {
        row.bytes = turn.contestant->bytes();
        row.floor_us = floors_us[row.bytes];
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

}  // namespace auspex::cli
