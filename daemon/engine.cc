// SPDX-License-Identifier: Apache-2.0
#include "daemon/engine.h"

#include <pwd.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>

namespace auspex {
namespace {

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// NSS may ask a directory service and take its time: only at load, never while deciding.
Result<uint32_t> uid_of(const std::string& user) {
  if (is_number(user)) return static_cast<uint32_t>(std::stoul(user));
  passwd entry{};
  passwd* found = nullptr;
  char buffer[16 * 1024];
  const int error_number = getpwnam_r(user.c_str(), &entry, buffer, sizeof(buffer), &found);
  if (found != nullptr) return static_cast<uint32_t>(found->pw_uid);
  return Error{"user \"" + user +
               "\": " + (error_number ? std::strerror(error_number) : "no such user")};
}

}  // namespace

std::vector<std::string> resolve_users(Config& config) {
  std::vector<std::string> warnings;
  for (Rule& rule : config.rules) {
    for (std::string& user : rule.match.user) {
      const bool pattern = user.find_first_of("*?[") != std::string::npos;
      if (pattern) {
        warnings.push_back("rules: user \"" + user + "\": a wildcard matches uids, not names");
      } else if (const auto uid = uid_of(user)) {
        user = std::to_string(*uid);
      } else {
        warnings.push_back("rules: " + uid.error().message + "; this rule matches nobody by it");
      }
    }
  }
  return warnings;
}

std::vector<uint32_t> decide_uids(const Config& config, std::vector<std::string>& warnings) {
  std::vector<uint32_t> uids = {0};
  const auto slurm_user = uid_of(config.slurm_user);
  if (!slurm_user) {
    warnings.push_back("slurm_user: " + slurm_user.error().message +
                       "; only root may ask for decisions");
  } else if (*slurm_user != 0) {
    uids.push_back(*slurm_user);
  }
  const uint32_t ours = ::geteuid();  // the guard's
  if (std::find(uids.begin(), uids.end(), ours) == uids.end()) uids.push_back(ours);
  return uids;
}

Result<LoadedPredictor> load_predictor(const Config& config) {
  auto model = ModelFile::open(config.model);
  if (!model) return model.error();
  LoadedPredictor loaded;
  if (config.backend == Backend::kCuda) {
    const auto on_card = RuntimePredictor::with(*model, "cuda");
    if (on_card) return LoadedPredictor{*on_card, {}};
    loaded.warnings.push_back("backend: cuda: " + on_card.error().message + "; the CPU answers");
  }
  auto on_cpu = RuntimePredictor::with(std::move(*model));
  if (!on_cpu) return Error{config.model + ": " + on_cpu.error().message};
  loaded.predictor = std::move(*on_cpu);
  return loaded;
}

Decision Engine::decide(const Submission& submission, const Terms& terms,
                        const HistoryRequest& request, const JobHistory* history,
                        const Site& site) const {
  if (!predictor_) return auspex::decide(submission, terms, nullptr, config_, site);
  const Prediction prediction = predictor_->predict(request, history);
  return auspex::decide(submission, terms, &prediction, config_, site);
}

std::optional<SecondLook> Engine::look_again(const Submission& submission,
                                             const HistoryRequest& request, const PendingJob& job,
                                             const JobHistory& history, int64_t now_s,
                                             const Site& site) const {
  if (!predictor_) return std::nullopt;
  const Prediction prediction = predictor_->predict(request, &history, now_s);
  return auspex::look_again(submission, job, prediction, config_, site, now_s);
}

JobHistory Engine::first_history(const HistoryCapacity& capacity) const {
  JobHistory history(capacity);
  if (predictor_) history.go_on_from(predictor_->model().calibration());
  return history;
}

}  // namespace auspex
