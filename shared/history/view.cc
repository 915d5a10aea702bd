// SPDX-License-Identifier: Apache-2.0
#include "shared/history/view.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ctime>
#include <limits>
#include <numbers>

#include "shared/history/candidates.h"
#include "shared/history/fast_log.h"
#include "shared/mixture.h"

namespace auspex {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

// The keys whose past jobs are items, in this order, and how many of each.
constexpr std::array<HistoryKey, 8> kPointedKeys = {
    HistoryKey::kUser,  HistoryKey::kSignature, HistoryKey::kUserLimit, HistoryKey::kUserCpus,
    HistoryKey::kGroup, HistoryKey::kLimitCpus, HistoryKey::kRequest,   HistoryKey::kPattern};
constexpr std::array<HistoryKey, kSummarisedKeys> kSummarised = {
    HistoryKey::kUser,     HistoryKey::kSignature, HistoryKey::kUserLimit,
    HistoryKey::kUserCpus, HistoryKey::kGroup,     HistoryKey::kQueue};

// To about the size of 1: log seconds lie between 0 and 14.
float scaled(float log_s) {
  return (log_s - 8) / 3;
}
float ratio(float log_ratio) {
  return std::clamp(log_ratio, -8.0F, 8.0F) / 3;
}
float age(int64_t now_s, int64_t then_s) {
  return fast_log1p(static_cast<float>(std::max<int64_t>(now_s - then_s, 0))) / 10;
}
float amount(uint32_t count) {
  return fast_log1p(static_cast<float>(count)) / 5;
}

// The past runtimes of a view, four to a register.
class PastRuntimes {
 public:
  explicit PastRuntimes(const HistoryView& view) {
    values_.fill(kNone);  // near to nothing
    for (size_t i = 0; i < kPastItems; ++i) {
      if (!std::isnan(view.log_s[i])) values_[count_++] = view.log_s[i];
    }
  }

  size_t count() const { return count_; }

  // How many lie less than `reach` from a value.
  float count_near(float value, float reach) const {
    Four near = {};
    for (size_t i = 0; i < values_.size(); i += 4) {
      Four distance;
      std::memcpy(&distance, &values_[i], sizeof(distance));
      distance -= value;
      near += (distance < reach) & (distance > -reach) ? Four{} + 1 : Four{};
    }
    return near[0] + near[1] + near[2] + near[3];
  }

 private:
  typedef float Four __attribute__((vector_size(16)));
  alignas(16) std::array<float, (kPastItems + 3) / 4 * 4> values_;
  size_t count_ = 0;
};

class ViewWriter {
 public:
  ViewWriter(const HistoryRequest& request, const FoundHistory& found, int64_t now_s,
             HistoryView& out)
      : request_(request), found_(found), now_s_(now_s), out_(out) {}

  void write() {
    out_.log_limit_s = std::isfinite(request_.limit_s) ? found_.log_limit_s : kLongestLogS;
    const KeySlot* signature = found_.of(HistoryKey::kSignature);
    out_.user = found_.keys[static_cast<size_t>(HistoryKey::kUser)];
    out_.signature_jobs = signature == nullptr ? 0 : signature->count;
    out_.log_s.fill(kNone);
    for (auto& inputs : out_.item) inputs.fill(0);
    if (signature != nullptr) {
      const Running& running = signature->in_flight;
      if (running.known > 0) elapsed_s_ = std::max<int64_t>(now_s_ - running.starts_s[0], 0);
    }
    past_items();
    candidate_items();
    shared_inputs();
    numbers();
  }

 private:
  void past_items() {
    const Features& features = request_.features;
    const float log_cpus = features.number[static_cast<size_t>(Number::kCpus)];
    const float log_memory = features.number[static_cast<size_t>(Number::kMemoryPerCpu)];
    const uint64_t same_request = found_.keys[static_cast<size_t>(HistoryKey::kRequest)];
    size_t first = 0;
    for (const HistoryKey kind : kPointedKeys) {
      const uint32_t kept = found_.kept(kind);
      for (uint32_t back = 0; back < kept; ++back) {
        const Past& past = found_.past(kind, back);
        out_.log_s[first + back] = std::min(past.log_runtime_s, found_.log_limit_s);
        auto& inputs = out_.item[first + back];
        inputs[2] = age(now_s_, past.end_s);
        inputs[3] = ratio(past.log_limit_s - found_.log_limit_s);
        const float cpus = past.log_cpus - log_cpus;
        inputs[4] = std::isnan(cpus) ? 0 : ratio(cpus);
        const float memory = past.log_memory - log_memory;
        inputs[5] = std::isnan(memory) ? 0 : ratio(memory);
        inputs[6] = past.ending == Ending::kAtLimit ? 1 : 0;
        inputs[7] = past.ending == Ending::kFailed ? 1 : 0;
        inputs[8] = past.request == same_request ? 1 : 0;
        inputs[12] = ratio(past.log_runtime_s - past.log_limit_s);
        inputs[13] = age(now_s_, past.submit_s);
      }
      first += kPastPerKey[static_cast<size_t>(kind)];
    }
  }

  void candidate_items() {
    static const KeySlot kNobody;
    const KeySlot* user = found_.of(HistoryKey::kUser);
    const KeySlot* same = found_.of(HistoryKey::kSignature);
    if (user == nullptr) user = &kNobody;
    if (same == nullptr) same = &kNobody;
    candidates_ = candidates_of(found_);
    const float best_user = *std::max_element(user->accuracy.begin(), user->accuracy.end());
    const float best_same = *std::max_element(same->accuracy.begin(), same->accuracy.end());
    for (size_t i = 0; i < kCandidates; ++i) {
      if (std::isnan(candidates_[i])) continue;
      out_.log_s[kPastItems + i] = candidates_[i];
      auto& inputs = out_.item[kPastItems + i];
      inputs[2] = user->accuracy[i];
      inputs[3] = user->judged[i];
      inputs[4] = same->accuracy[i];
      inputs[5] = same->judged[i];
      inputs[6] = user->judged[i] > 0 && user->accuracy[i] == best_user ? 1 : 0;
      inputs[7] = same->judged[i] > 0 && same->accuracy[i] == best_same ? 1 : 0;
      inputs[8] = amount(same->count);
      inputs[12] = amount(user->count);
    }
    size_t at = kCandidateNumbers;
    for (size_t i = 0; i < kCandidates; ++i) {
      const bool known = !std::isnan(candidates_[i]);
      out_.number[at++] = known ? ratio(candidates_[i] - found_.log_limit_s) : 0;
      out_.number[at++] = user->accuracy[i];
      out_.number[at++] = same->accuracy[i];
    }
  }

  // What items say of each other and of the request.
  void shared_inputs() {
    const PastRuntimes past(out_);
    const float log_elapsed_s = fast_log1p(static_cast<float>(elapsed_s_));
    const KeySlot* user = found_.of(HistoryKey::kUser);
    const KeySlot* same = found_.of(HistoryKey::kSignature);
    for (size_t i = 0; i < kItems; ++i) {
      const float value = out_.log_s[i];
      if (std::isnan(value)) continue;
      auto& inputs = out_.item[i];
      inputs[0] = scaled(value);
      inputs[1] = ratio(value - found_.log_limit_s);
      inputs[9] = past.count_near(value, 0.2F) / 20;
      inputs[14] = past.count_near(value, 0.05F) / 20;
      inputs[10] = user != nullptr && user->count > 0 ? ratio(value - user->decayed_log_s) : 0;
      inputs[11] = same != nullptr && same->count > 0 ? ratio(value - same->decayed_log_s) : 0;
      inputs[15] = elapsed_s_ > 0 ? std::clamp(value - log_elapsed_s, -3.0F, 3.0F) / 3 : 0;
    }
    size_t at = kRequestNumbers;
    out_.number[at++] = scaled(found_.log_limit_s);
    out_.number[at++] = std::isfinite(request_.limit_s) ? 1 : 0;
    out_.number[at++] = static_cast<float>(past.count()) / kPastItems;
    out_.number[at++] = elapsed_s_ > 0 ? ratio(log_elapsed_s - found_.log_limit_s) : 0;
  }

  void numbers() {
    size_t at = 0;
    for (const HistoryKey kind : kSummarised) {
      summarise(kind, at);
      at += kNumbersPerKey;
    }
    activity(at);
    at += kActivityNumbers;
    for (uint32_t back = 0; back < 3; ++back) {
      out_.number[at++] = back < found_.kept(HistoryKey::kUser)
                              ? scaled(found_.past(HistoryKey::kUser, back).log_runtime_s)
                              : 0;
    }
  }

  void summarise(HistoryKey kind, size_t at) {
    float* number = &out_.number[at];
    std::fill(number, number + kNumbersPerKey, 0.0F);
    const KeySlot* slot = found_.of(kind);
    if (slot == nullptr || slot->count == 0) return;
    const double mean = slot->sum / slot->count;
    const double variance = std::max(slot->sum_squares / slot->count - mean * mean, 0.0);
    float most = -1, least = 99;
    for (uint32_t back = 0; back < found_.kept(kind); ++back) {
      most = std::max(most, found_.past(kind, back).log_runtime_s);
      least = std::min(least, found_.past(kind, back).log_runtime_s);
    }
    const Past& last = found_.past(kind, 0);
    number[0] = amount(slot->count);
    number[1] = scaled(slot->decayed_log_s);
    number[2] = scaled(static_cast<float>(mean));
    number[3] = static_cast<float>(std::sqrt(variance)) / 2;
    number[4] = scaled(last.log_runtime_s);
    number[5] = scaled(most);
    number[6] = scaled(least);
    number[7] = static_cast<float>(slot->at_limit) / static_cast<float>(slot->count);
    number[8] = age(now_s_, last.end_s);
  }

  void activity(size_t at) {
    static const KeySlot kNobody;
    const KeySlot* user = found_.of(HistoryKey::kUser);
    const KeySlot* same = found_.of(HistoryKey::kSignature);
    float* number = &out_.number[at];
    for (const KeySlot* slot : {user, same}) {
      const KeySlot& who = slot == nullptr ? kNobody : *slot;
      *number++ = amount(who.in_flight.queued);
      *number++ = amount(who.in_flight.running);
      *number++ = who.in_flight.known > 0 ? age(now_s_, who.in_flight.starts_s[0]) : 0;
      *number++ = who.last_submit_s > 0 ? age(now_s_, who.last_submit_s) : 0;
    }
    *number++ = age(now_s_, request_.submit_s);  // a job that waits is seen again
    *number++ = user == nullptr ? 0 : amount(user->streak);
    *number++ = user == nullptr ? 0 : ratio(user->used_share_log);
    const auto time = static_cast<time_t>(request_.submit_s);
    tm local{};
    localtime_r(&time, &local);
    constexpr float kTurn = 2 * std::numbers::pi_v<float>;
    const float hour =
        kTurn * (static_cast<float>(local.tm_hour) + static_cast<float>(local.tm_min) / 60) / 24;
    const float day = kTurn * static_cast<float>(local.tm_wday) / 7;
    *number++ = std::sin(hour);
    *number++ = std::cos(hour);
    *number++ = std::sin(day);
    *number++ = std::cos(day);
  }

  static constexpr size_t kCandidateNumbers =
      kSummarisedKeys * kNumbersPerKey + kActivityNumbers + 3;
  static constexpr size_t kRequestNumbers = kCandidateNumbers + 3 * kCandidates;
  static_assert(kRequestNumbers + 4 == kHistoryNumbers);

  const HistoryRequest& request_;
  const FoundHistory& found_;
  int64_t now_s_;
  HistoryView& out_;
  std::array<float, kCandidates> candidates_{};
  int64_t elapsed_s_ = 0;  // of the signature's longest running job
};

}  // namespace

void view_of(const HistoryRequest& request, const FoundHistory& found, int64_t now_s,
             HistoryView& out) {
  ViewWriter(request, found, now_s, out).write();
}

}  // namespace auspex
