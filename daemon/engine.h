// SPDX-License-Identifier: Apache-2.0
// Engine: configuration and model, ready to decide. The daemon and the dry run hold the same one.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/predictor.h"
#include "shared/config.h"
#include "shared/decision.h"
#include "shared/policy.h"
#include "shared/result.h"
#include "shared/second_look.h"
#include "shared/site.h"

namespace auspex {

class Engine {
 public:
  // predictor may be null: every decision is then to leave the job alone (Why::kNoModel).
  Engine(Config config, std::shared_ptr<const RuntimePredictor> predictor)
      : config_(std::move(config)), predictor_(std::move(predictor)) {}

  // request: history_request_of() the submission. history: what is known when the job is submitted;
  // null: nothing. terms, site: see decide() in shared/policy.h. Threads: any, while nobody changes
  // it. Pure but for the clock that measures the prediction.
  Decision decide(const Submission& submission, const Terms& terms, const HistoryRequest& request,
                  const JobHistory* history, const Site& site) const;
  // Of which no model is known.
  Decision decide(const Submission& submission, const JobHistory* history = nullptr,
                  const Site& site = {}) const {
    return decide(submission, terms_of(submission, config_, site), history_request_of(submission),
                  history, site);
  }

  // Of a job that still waits at `now_s`; see look_again().
  std::optional<SecondLook> look_again(const Submission& submission, const HistoryRequest& request,
                                       const PendingJob& job, const JobHistory& history,
                                       int64_t now_s, const Site& site) const;

  // Before anything happened: calibrated as the model was when it was trained.
  JobHistory first_history(const HistoryCapacity& capacity) const;

  const Config& config() const { return config_; }
  const RuntimePredictor* predictor() const { return predictor_.get(); }

 private:
  Config config_;
  std::shared_ptr<const RuntimePredictor> predictor_;
};

// Replaces the user names in the rules by uids, which is how a submission names its user.
// Returns warnings: names that nobody has.
std::vector<std::string> resolve_users(Config& config);

// root, slurm_user and who we are: who may ask for decisions and report.
std::vector<uint32_t> decide_uids(const Config& config, std::vector<std::string>& warnings);

struct LoadedPredictor {
  std::shared_ptr<const RuntimePredictor> predictor;
  std::vector<std::string> warnings;  // the GPU that is asked for is not to be had: the CPU answers
};
// Loads the model that the configuration names, for the backend that it names.
// Errors: those of RuntimePredictor::load on a CPU.
Result<LoadedPredictor> load_predictor(const Config& config);

}  // namespace auspex
