// SPDX-License-Identifier: Apache-2.0
#include "plugin/gate.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>

#include "plugin/apply.h"
#include "plugin/slurm_copy.h"

namespace auspex::plugin {
namespace {

int64_t nanoseconds(ipc::Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

Gate::Gate(std::string socket_path)
    : client_(std::move(socket_path)),
      instance_(static_cast<uint64_t>(nanoseconds(ipc::Clock::now()))) {
  journal_.tell("version " AUSPEX_VERSION ", asks " + client_.socket_path());
}

std::unique_ptr<Gate> Gate::open_from_environment() {
  const char* path = std::getenv(ipc::kSocketVariable);
  return std::make_unique<Gate>(path != nullptr && *path != '\0' ? path : ipc::kDefaultSocket);
}

void Gate::pass(job_desc_msg_t* job, uint32_t submit_uid, char** err_msg) {
  if (job == nullptr) return;
  const auto start = ipc::Clock::now();
  if (!breaker_.allows(nanoseconds(start))) {
    counters_.skipped.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  ask(*job, submit_uid, err_msg, start);
  const auto took =
      std::chrono::duration_cast<std::chrono::microseconds>(ipc::Clock::now() - start).count();
  counters_.last_call_us.store(static_cast<uint32_t>(std::clamp<int64_t>(took, 1, UINT32_MAX)),
                               std::memory_order_relaxed);
}

void Gate::ask(job_desc_msg_t& job, uint32_t submit_uid, char** err_msg,
               ipc::Clock::time_point start) {
  const auto deadline =
      start + std::chrono::microseconds(deadline_us_.load(std::memory_order_relaxed));
  auto outcome =
      client_.call(ipc::DecideRequest{copy_submission(job, submit_uid, std::time(nullptr)),
                                      report(), SLURM_VERSION_NUMBER},
                   deadline);
  const int64_t now_ns = nanoseconds(ipc::Clock::now());
  if (const auto* failure = std::get_if<ipc::Failure>(&outcome)) {
    on_failure(*failure, now_ns);
    return;
  }
  const bool was_open = breaker_.is_open();
  breaker_.succeeded();
  if (was_open) journal_.tell("the daemon answers again at " + client_.socket_path());

  const auto& reply = std::get<ipc::Reply>(outcome);
  const auto* decided = std::get_if<ipc::DecideReply>(&reply);
  if (decided == nullptr) {
    counters_.refused.fetch_add(1, std::memory_order_relaxed);
    const auto* refusal = std::get_if<ipc::ErrorReply>(&reply);
    journal_.complain(
        Journal::kRefusedByDaemon, now_ns,
        "the daemon refuses: " + (refusal ? refusal->reason.substr(0, 200) : "not a decision"));
    return;
  }
  const auto told = std::clamp(decided->deadline, ipc::kMinDeadline, ipc::kMaxDeadline);
  deadline_us_.store(told.count(), std::memory_order_relaxed);
  if (const auto reason = objection(decided->edits, job)) {
    counters_.refused.fetch_add(1, std::memory_order_relaxed);
    journal_.complain(Journal::kRefusedEdits, now_ns,
                      "the daemon's answer is not acceptable: " + *reason);
    return;
  }
  counters_.answered.fetch_add(1, std::memory_order_relaxed);
  apply(decided->edits, job, err_msg);
}

void Gate::on_failure(const ipc::Failure& failure, int64_t now_ns) {
  switch (failure.cause) {
    case ipc::Cause::kTimeout:
      counters_.timeouts.fetch_add(1, std::memory_order_relaxed);
      break;
    case ipc::Cause::kUnreachable:
    case ipc::Cause::kBroken:
      counters_.failures.fetch_add(1, std::memory_order_relaxed);
      break;
    case ipc::Cause::kBadReply:
    case ipc::Cause::kBadRequest:
      counters_.refused.fetch_add(1, std::memory_order_relaxed);
      break;
  }
  // A request that does not fit says nothing about the daemon.
  if (failure.cause != ipc::Cause::kBadRequest) {
    breaker_.failed(failure.cause == ipc::Cause::kUnreachable, now_ns);
  }
  journal_.complain(static_cast<size_t>(failure.cause), now_ns,
                    ipc::describe(failure, client_.socket_path()));
}

ipc::CallReport Gate::report() {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  return {instance_,
          counters_.last_call_us.exchange(0, kRelaxed),
          counters_.answered.load(kRelaxed),
          counters_.skipped.load(kRelaxed),
          counters_.timeouts.load(kRelaxed),
          counters_.failures.load(kRelaxed),
          counters_.refused.load(kRelaxed)};
}

}  // namespace auspex::plugin
