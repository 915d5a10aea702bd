// SPDX-License-Identifier: Apache-2.0
// Config: /etc/auspex/auspex.yaml as a value. Reading it is shared/config_yaml.h's business.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "shared/decision.h"

namespace auspex {

enum class Backend : uint8_t { kAuto, kCpu, kCuda };
enum class OrderShape : uint8_t { kLog, kLinear };
enum class WhenNoneAsked : uint8_t { kLeave, kSet };
enum class LookMode : uint8_t { kOff, kObserve, kOn };
enum class MigMode : uint8_t { kOff, kAdvise, kApply };

// A list matches any of its values; an empty list matches everything.
struct RuleMatch {
  std::vector<std::string> partition, account, user, qos, name;
};

struct Rule {
  RuleMatch match;
  Mode mode = Mode::kObserve;
  std::optional<double> risk;
  std::optional<LookMode> second_look;
};

struct Config {
  std::string socket = "/run/auspex/auspex.sock";
  uint32_t deadline_us = 2000;
  Backend backend = Backend::kAuto;
  std::string model = "/var/lib/auspex/runtime.auspex";
  Mode mode = Mode::kObserve;
  double risk = 0.10;
  std::string slurm_user = "slurm";
  struct Order {
    uint32_t weight = 0;
    OrderShape shape = OrderShape::kLog;
  } order;
  struct Limits {
    uint32_t floor_min = 10;
    uint32_t round_min = 5;
    double margin = 1.1;
    WhenNoneAsked when_none_asked = WhenNoneAsked::kLeave;
  } limits;
  struct Guard {
    uint32_t lead_min = 5;
    uint32_t steps = 3;
    uint32_t interval_s = 15;  // between two looks at slurmctld's jobs
    bool operator==(const Guard&) const = default;
  } guard;
  struct SecondLook {  // pending jobs are decided again when a job of their user has ended
    LookMode mode = LookMode::kOff;
    uint32_t per_minute = 120;  // calls of slurmctld
    uint32_t per_job = 3;       // changes
  } second_look;
  struct Message {  // of one line each; see shared/message.h
    std::string shortened =
        "auspex: time limit {asked} -> {limit}: {share} of jobs like this one are predicted to end "
        "within it{extended} (keep yours with: #AUSPEX off)";
    std::string soft =
        "auspex: the scheduler plans with {limit}, your time limit stays {asked}: {share} of jobs "
        "like this one are predicted to end within it (opt out with: #AUSPEX off)";
    std::string advised =
        "auspex: a time limit of {limit} instead of {asked} would do: {share} of jobs like this "
        "one are predicted to end within it";
  } message;
  struct History {
    std::string state = "/var/lib/auspex/history.state";  // empty: not kept
    uint32_t keys = 65'536;                               // of each kind
    bool operator==(const History&) const = default;
  } history;
  struct Ledger {
    std::string path = "/var/lib/auspex/ledger.db";  // empty: not kept
    uint32_t keep_days = 400;
    bool operator==(const Ledger&) const = default;
  } ledger;
  std::vector<Rule> rules;
  struct Mig {
    MigMode mode = MigMode::kAdvise;
    double headroom = 0.10;
    double context_mib = 1450;                      // of a process on a card, beside its tensors
    std::vector<std::string> model_dirs;            // below which users' models may be read
    std::map<std::string, std::string> partitions;  // partition -> GPU model
    std::map<std::string, std::string> types;       // MIG profile -> the site's GRES type
    bool operator==(const Mig&) const = default;
  } mig;
};

}  // namespace auspex
