// SPDX-License-Identifier: Apache-2.0
#include "daemon/service.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "kernels/cuda_network.h"
#include "shared/audit.h"
#include "shared/message.h"

namespace auspex {
namespace {

static_assert(kMaxMessageTextBytes <= ipc::kMaxMessageLineBytes);

using Microseconds = std::chrono::duration<double, std::micro>;

nlohmann::json latency_json(const Histogram& histogram) {
  const auto rounded = [&](double level) { return std::lround(histogram.quantile_us(level)); };
  return {{"calls", histogram.count()}, {"p50", rounded(.5)}, {"p99", rounded(.99)}};
}

// A file's state is told in less, unless its file system hangs.
constexpr std::chrono::microseconds kModelPatience{500};

std::optional<uint32_t> to_id(const std::string& text) {
  uint32_t id = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return id;
}

std::string version_text(uint32_t version) {
  if (version == 0) return "";
  return std::to_string(version >> 16 & 0xff) + "." + std::to_string(version >> 8 & 0xff) + "." +
         std::to_string(version & 0xff);
}

// Only what is ours or numeric: names that users choose do not enter the log.
void log_decision(const Submission& s, const Decision& d) {
  spdlog::debug("uid={} asked_min={} proposed_min={} applied_min={} mode={} why={}", s.user,
                d.asked_min ? std::to_string(*d.asked_min) : "-",
                d.proposed_min ? std::to_string(*d.proposed_min) : "-",
                d.applied_min ? std::to_string(*d.applied_min) : "-", mode_name(d.mode),
                why_name(d.why));
}

nlohmann::json calibration_json(const Calibration& calibration) {
  nlohmann::json json = {{"jobs", calibration.jobs()}};
  for (size_t level = 0; level < kCalibratedCount; ++level) {
    const Recipe recipe = calibration.recipe(level);
    const auto name = "p" + std::to_string(std::lround(100 * kCalibratedLevels[level]));
    json[name] = {{"recipe", recipe_name(recipe)},
                  {"coverage", calibration.coverage(level, recipe)}};
  }
  return json;
}

nlohmann::json history_json(const HistoryStore& store) {
  const JobHistory& history = store.history();
  nlohmann::json journal = nullptr;
  if (const auto state = store.journal()) {
    journal = {{"unwritten", state->unwritten}, {"lost", state->lost}};
  }
  return {{"jobs", history.jobs()},
          {"users", history.keys(HistoryKey::kUser)},
          {"signatures", history.keys(HistoryKey::kSignature)},
          {"in_flight", history.in_flight()},
          {"newest", history.newest_s()},
          {"calibration", calibration_json(history.calibration())},
          {"journal", journal}};
}

// For each size of batch what is fastest, and how long it takes; all that there is to choose from:
// `auspex bench --model`.
nlohmann::json routes_json(const Routes* routes) {
  if (routes == nullptr) return nullptr;
  nlohmann::json json = {{"batch_that_pays", routes->batch_that_pays()}};
  for (size_t i = 0; i < kRoutedBatches.size(); ++i) {
    const Route& route = routes->measured[routes->fastest[i]];
    json[std::to_string(kRoutedBatches[i])] = {{"backend", route.backend},
                                               {"us", std::round(route.batch_us[i] * 10) / 10}};
  }
  return json;
}

nlohmann::json gpu_json() {
  const CudaState state = cuda_state();
  if (state.card.empty() && state.absence.empty()) return nullptr;  // nobody has asked
  return {{"card", state.card}, {"absence", state.absence}, {"fault", state.fault}};
}

}  // namespace

DecisionService::DecisionService(std::string config_path, std::shared_ptr<const Engine> engine,
                                 std::unique_ptr<HistoryStore> history,
                                 std::unique_ptr<Ledger> ledger)
    : config_path_(std::move(config_path)),
      engine_(std::move(engine)),
      history_(history ? std::move(history)
                       : std::make_unique<HistoryStore>(HistoryStoreOptions{})),
      ledger_(ledger ? std::move(ledger) : std::make_unique<Ledger>(LedgerOptions{})) {}

void DecisionService::decided(const ipc::DecideRequest& request) {
  if (!gpu_fault_told_ && cuda_failed()) {
    gpu_fault_told_ = true;
    spdlog::error("GPU: {}; the CPU answers from now on", cuda_state().fault);
  }
  const std::optional<CalibratedLogs> promised =
      decision_.prediction ? decision_.prediction->raw_log_s : std::nullopt;
  history_->take({.kind = EventKind::kSubmitted, .request = request_, .promised = promised});
  const DecisionNumber number = ledger_->next_number();
  jobs_.decided(request.submission,
                {request_, number, decision_.why, request.submission.time_limit_min});
  ledger_->add(decision_entry(number, request.submission, request_, decision_));
}

ipc::EventsReply DecisionService::take(const ipc::EventsRequest& request) {
  for (const JobEvent& event : request.events) {
    if (event.job_id == 0) {
      history_->take(history_event_of(event));
      continue;
    }
    const JobBook::Taken taken = jobs_.take(event);
    if (taken.news) history_->take(*taken.news);
    ledger_->add(job_entry(event, taken.decision));
  }
  return {static_cast<uint32_t>(request.events.size())};
}

ipc::GuardReply DecisionService::take(const ipc::GuardReport& report) {
  if (report.first) jobs_.begin(history_->history().newest_s());
  watch_.take(report, SiteWatch::Clock::now());
  for (const LimitChange& change : report.changes) ledger_->add(change);
  return {};
}

// Script and environment are not in a job's record: only what was decided tells that a job is to be
// left alone. After a restart of the daemon the audit tells that it was ours.
ipc::LookReply DecisionService::look(const ipc::LookRequest& request) {
  ++looks_.asked;
  Submission asked = request.submission;
  const JobBook::Decided* decided = jobs_.find(request.job_id);
  const auto audit = find_audit(asked.admin_comment);
  // The audit is the job's own; a decision that says something else was about another job.
  if (audit && decided != nullptr && decided->asked_min != audit->asked_min) decided = nullptr;
  const bool known = decided != nullptr && decided->number != 0;
  if (known) {
    const bool ours = decided->why == Why::kModel || decided->why == Why::kNotBelowAsked ||
                      decided->why == Why::kGuardDown;
    if (!ours || !decided->asked_min) return {};
    asked.time_limit_min = decided->asked_min;
  } else if (!audit) {
    return {};
  }
  const HistoryRequest features = decided != nullptr ? decided->request : history_request_of(asked);
  const auto look =
      engine_->look_again(asked, features, {request.limit_min, request.site_factor},
                          history_->history(), request.now_s, watch_.site(SiteWatch::Clock::now()));
  if (!look) return {};
  if (look->mode == LookMode::kObserve) {
    ++looks_.observed;
    return {};
  }
  ++looks_.changed;
  return {look->edits, look->to_min};
}

ipc::SiteReply DecisionService::site() {
  return {watch_.site(SiteWatch::Clock::now())};
}

ipc::DecideReply DecisionService::decide(const ipc::DecideRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  request_ = history_request_of(request.submission);
  const Site& site = watch_.site(start);
  Terms terms = terms_of(request.submission, engine_->config(), site);
  terms.slice.answer = model_answer(request.submission, terms.slice);
  decision_ = engine_->decide(request.submission, terms, request_, &history_->history(), site);
  const Decision& decision = decision_;
  ++decisions_;
  changed_ += decision.changed();
  ++by_mode_[static_cast<size_t>(decision.mode)];
  ++by_why_[static_cast<size_t>(decision.why)];
  ++by_mig_why_[static_cast<size_t>(decision.mig.why)];
  if (request.slurm_version != 0) slurm_version_ = request.slurm_version;
  count(request.report);
  handling_.add(Microseconds(std::chrono::steady_clock::now() - start).count());
  log_decision(request.submission, decision);
  return {decision.edits, std::chrono::microseconds(engine_->config().deadline_us)};
}

const ModelAnswer* DecisionService::model_answer(const Submission& submission,
                                                 const MigQuestion& question) {
  if (models_ == nullptr || !question.run) return nullptr;
  const auto uid = to_id(submission.user), gid = to_id(submission.group);
  if (!uid || !gid) return nullptr;
  const std::chrono::microseconds share(engine_->config().deadline_us / 4);
  return models_->look_up(*uid, *gid, *question.run, std::min(share, kModelPatience));
}

void DecisionService::count(const ipc::CallReport& report) {
  if (report.last_call_us != 0) seen_by_plugin_.add(report.last_call_us);
  calls_.take(report);
}

void DecisionService::compute_by(std::shared_ptr<const Engine> engine) {
  engine_ = std::move(engine);
}

void DecisionService::use(std::shared_ptr<const Engine> engine) {
  engine_ = std::move(engine);
  ++reloads_;
}

std::string DecisionService::status_json() {
  nlohmann::json modes = nlohmann::json::object(), reasons = nlohmann::json::object();
  for (size_t i = 0; i < by_mode_.size(); ++i) {
    modes[std::string(mode_name(static_cast<Mode>(i)))] = by_mode_[i];
  }
  for (size_t i = 0; i < by_why_.size(); ++i) {
    reasons[std::string(why_name(static_cast<Why>(i)))] = by_why_[i];
  }
  nlohmann::json slices = nlohmann::json::object();
  for (size_t i = 0; i < by_mig_why_.size(); ++i) {
    slices[std::string(mig_why_name(static_cast<MigWhy>(i)))] = by_mig_why_[i];
  }
  nlohmann::json model = nullptr;
  if (const auto* predictor = engine_->predictor()) {
    const ModelSummary& summary = predictor->model().summary();
    model = {{"id", summary.id},
             {"path", engine_->config().model},
             {"trained_on", summary.trained_on},
             {"backend", predictor->backend()}};
  }
  const ipc::CallReport calls = calls_.sum();
  const auto uptime = std::chrono::steady_clock::now() - start_;
  nlohmann::json status = {
      {"version", AUSPEX_VERSION},
      {"pid", ::getpid()},
      {"uptime_s", std::chrono::duration_cast<std::chrono::seconds>(uptime).count()},
      {"config", config_path_},
      {"mode", mode_name(engine_->config().mode)},
      {"slurm", version_text(slurm_version_)},
      {"model", model},
      {"routes", routes_json(engine_->predictor() ? engine_->predictor()->routes() : nullptr)},
      {"gpu", gpu_json()},
      {"models", models_ == nullptr ? nullptr : models_->status()},
      {"history", history_json(*history_)},
      {"guard", watch_.status(SiteWatch::Clock::now())},
      {"second_looks",
       {{"asked", looks_.asked}, {"changed", looks_.changed}, {"observed", looks_.observed}}},
      {"ledger", {{"lost", ledger_->lost()}}},
      {"decisions",
       {{"total", decisions_},
        {"changed", changed_},
        {"by_mode", modes},
        {"by_why", reasons},
        {"slices", slices}}},
      {"handling_us", latency_json(handling_)},
      {"plugin_call_us", latency_json(seen_by_plugin_)},
      {"fallbacks",
       {{"breaker_open", calls.skipped},
        {"timeouts", calls.timeouts},
        {"unreachable", calls.failures},
        {"refused", calls.refused}}},
      {"answered", calls.answered},
      {"reloads", {{"done", reloads_}, {"failed", failed_reloads_}}}};
  if (server_ != nullptr) {
    const auto& c = server_->counters();
    status["connections"] = {{"open", server_->connections()},
                             {"accepted", c.accepted},
                             {"turned_away", c.turned_away},
                             {"bad_messages", c.bad_messages},
                             {"not_permitted", c.not_permitted}};
  }
  // Paths may hold any bytes: replaced, not thrown over.
  return status.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace auspex
