// SPDX-License-Identifier: Apache-2.0
// Decision: what happens to one submission, and the reason. Edits: its part that reaches Slurm.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/model_need.h"
#include "shared/prediction.h"

namespace auspex {

enum class Mode : uint8_t { kOff, kObserve, kAdvise, kSoft, kGuarded, kHard };
std::string_view mode_name(Mode mode);

// Why a decision is as it is. The first that applies wins, in this order.
enum class Why : uint8_t {
  kModeOff,         // the rule says off
  kOptOut,          // #AUSPEX off, AUSPEX=off
  kInteractive,     // salloc, srun
  kTimeMin,         // the user gave --time-min
  kSignal,          // --signal counts back from the limit
  kDeadline,        // --deadline
  kReservation,     // --reservation
  kNoModel,         // the daemon has no model
  kNoLimitAsked,    // nothing to tighten
  kAbovePartition,  // more than the partition allows: Slurm's to refuse
  kNotBelowAsked,   // the predicted limit is not below what was asked
  kSoftRefused,     // soft needs Slurm 25.05.4 with time_min_as_soft_limit
  kMaintenance,     // it could start before a reservation that it could then not outlast
  kGuardDown,       // guarded, and nobody would extend: the user is only told
  kModel,           // the model's quantile
};
inline constexpr size_t kModeCount = 6, kWhyCount = static_cast<size_t>(Why::kModel) + 1;
std::string_view why_name(Why why);
std::optional<Why> why_named(std::string_view name);

// What becomes of the GPU that a job with a model asks for. The first that applies wins.
enum class MigWhy : uint8_t {
  kNoModel,       // no model is named, or the job is left alone
  kOff,           // mig.mode
  kNoCard,        // the partition's cards are not in mig.partitions, or of several kinds
  kNotOneGpu,     // none is asked for, or several
  kTyped,         // the user has chosen
  kNotRead,       // nothing is known of the model yet
  kRefused,       // it cannot be read
  kTypesUnknown,  // which slices the partition has
  kNoSlice,       // of those none is large enough
  kAdvised,
  kApplied,
};
inline constexpr size_t kMigWhyCount = static_cast<size_t>(MigWhy::kApplied) + 1;
std::string_view mig_why_name(MigWhy why);
std::optional<MigWhy> mig_why_named(std::string_view name);

struct MigAdvice {
  MigWhy why = MigWhy::kNoModel;
  std::optional<ModelNeed> need;
  std::string card;     // as in shared/mig.h; empty: nothing was asked of the model
  double headroom = 0;  // share of the memory needed that stays free
  std::string profile;  // "2g.10gb"; empty: none
  std::string type;     // what the site calls it

  bool operator==(const MigAdvice&) const = default;
};

// Applied by the plugin after checking; an empty optional leaves the field as it is.
struct Edits {
  std::optional<uint32_t> time_limit_min, time_min_min;
  std::optional<int32_t> site_factor;  // relative to Slurm's NICE_OFFSET; higher goes first
  std::optional<std::string> tres_per_job, tres_per_node, tres_per_socket, tres_per_task;
  std::optional<std::string> comment, admin_comment;
  std::optional<std::string> message;  // one line for the user

  bool operator==(const Edits&) const = default;
};

struct Decision {
  Mode mode = Mode::kOff;
  int rule = -1;  // index into the YAML's rules; -1 = the default
  Why why = Why::kModeOff;
  std::optional<uint32_t> asked_min;    // the user's limit
  std::optional<uint32_t> applied_min;  // the limit the job gets; equals asked_min when unchanged
  std::optional<uint32_t>
      proposed_min;           // what the quantile says, also where the mode applies nothing
  double quantile_level = 0;  // 1 - risk of the matching rule
  std::optional<Prediction> prediction;
  MigAdvice mig;
  Edits edits;

  bool changed() const { return applied_min != asked_min; }
};

}  // namespace auspex
