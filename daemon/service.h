// SPDX-License-Identifier: Apache-2.0
// DecisionService: answers the server's requests from the engine in use and the history of the
// site's jobs, and counts.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "daemon/call_totals.h"
#include "daemon/engine.h"
#include "daemon/histogram.h"
#include "daemon/history_store.h"
#include "daemon/job_book.h"
#include "daemon/ledger/ledger.h"
#include "daemon/model_desk.h"
#include "daemon/site_watch.h"
#include "ipc/server.h"

namespace auspex {

// Threads: the server's loop only.
class DecisionService final : public ipc::Service {
 public:
  // history, ledger: null for one that is not kept.
  DecisionService(std::string config_path, std::shared_ptr<const Engine> engine,
                  std::unique_ptr<HistoryStore> history = nullptr,
                  std::unique_ptr<Ledger> ledger = nullptr);

  // `now` is the submission's own time, so that a past that is fed is decided as it would have
  // been.
  ipc::DecideReply decide(const ipc::DecideRequest& request) override;
  void decided(const ipc::DecideRequest& request) override;
  ipc::EventsReply take(const ipc::EventsRequest& request) override;
  ipc::GuardReply take(const ipc::GuardReport& report) override;
  ipc::LookReply look(const ipc::LookRequest& request) override;
  ipc::SiteReply site() override;
  std::string status_json() override;

  // The next request is decided by this one.
  // Another engine; one that differs in how it computes alone.
  void use(std::shared_ptr<const Engine> engine);
  void compute_by(std::shared_ptr<const Engine> engine);
  void reload_failed() { ++failed_reloads_; }
  void report_on(const ipc::Server* server) { server_ = server; }
  // Where there is none, no model is asked for.
  void ask_of_models(ModelDesk* models) { models_ = models; }
  bool guard_is_lost() const { return watch_.is_lost(SiteWatch::Clock::now()); }
  size_t calibrated_jobs() const { return history_->history().calibration().jobs(); }
  Status close_history() { return history_->close(); }

 private:
  void count(const ipc::CallReport& report);
  // nullptr: not known, or nothing is asked.
  const ModelAnswer* model_answer(const Submission& submission, const MigQuestion& question);

  std::string config_path_;
  std::shared_ptr<const Engine> engine_;
  std::unique_ptr<HistoryStore> history_;
  std::unique_ptr<Ledger> ledger_;
  HistoryRequest request_;  // of the submission that was decided last
  Decision decision_;
  JobBook jobs_;
  const ipc::Server* server_ = nullptr;
  ModelDesk* models_ = nullptr;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  Histogram handling_, seen_by_plugin_;
  CallTotals calls_;
  SiteWatch watch_;
  std::array<uint64_t, kModeCount> by_mode_{};
  std::array<uint64_t, kWhyCount> by_why_{};
  std::array<uint64_t, kMigWhyCount> by_mig_why_{};
  struct {
    uint64_t asked = 0, changed = 0, observed = 0;
  } looks_;
  uint64_t decisions_ = 0, changed_ = 0, reloads_ = 0, failed_reloads_ = 0;
  uint32_t slurm_version_ = 0;
  bool gpu_fault_told_ = false;
};

}  // namespace auspex
