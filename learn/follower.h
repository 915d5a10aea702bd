// SPDX-License-Identifier: Apache-2.0
// Follower: the learner beside a daemon. It plays the daemon's journal into a history of its own,
// learns from what ends, and publishes a model once it predicted jobs that it had not seen ended at
// least as well as the published one did.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "learn/example_pool.h"
#include "learn/pointer_trainer.h"
#include "learn/vocabulary.h"
#include "shared/history/history.h"
#include "shared/history/journal.h"
#include "shared/model_file.h"
#include "shared/result.h"

namespace auspex {

struct FollowOptions {
  std::string model;          // is read, and replaced by a better one
  uint32_t every = 500;       // submissions and starts between two passes
  uint32_t least_ended = 64;  // fewer wait for the next pass
  uint32_t examples = 1U << 16;
  PointerOptions training;
};

// What a pass came to. Losses: of the jobs that ended since the last pass, before learning them.
struct FollowPass {
  size_t jobs = 0;
  double loss = 0, published_loss = 0;
  bool published = false;  // a new model; false: what was learned so far was no better
  std::string model;       // id of the published one
};

class Follower {
 public:
  // Errors: the model cannot be read, or is no pointer network that this build trains.
  static Result<std::unique_ptr<Follower>> start(const FollowOptions& options);

  // Goes on from a saved history: what came before is known, and learned no more.
  void use(JobHistory history) { history_ = std::move(history); }

  // One event of the journal. pass: called when one was made. Errors: training failed, the model
  // cannot be written; the published one stays.
  Status take(const HistoryEvent& event, const std::function<void(const FollowPass&)>& pass);

  const JobHistory& history() const { return history_; }

 private:
  Follower(const FollowOptions& options, ModelContent content);
  void see(const HistoryRequest& request, int64_t now_s);
  Result<FollowPass> learn();
  Status publish();

  FollowOptions options_;
  ModelContent content_;  // as published
  Vocabulary vocabulary_;
  std::unique_ptr<PointerTrainer> published_, learning_;
  ExamplePool pool_;
  JobHistory history_;
  // Examples of jobs in flight, by what was submitted when.
  std::unordered_map<uint64_t, std::deque<uint64_t>> in_flight_;
  std::deque<uint64_t> in_flight_order_;
  uint64_t since_pass_ = 0, passes_ = 0;
  std::string published_id_;
};

}  // namespace auspex
