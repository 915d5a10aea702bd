// SPDX-License-Identifier: Apache-2.0
// sbatch's options, 22.05 to 25.05: their names, whether they take a value, and what they set.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "shared/result.h"
#include "shared/submission.h"

namespace auspex {

// A submission under construction: options that only together say what is asked for.
struct SbatchDraft {
  explicit SbatchDraft(Submission& to) : submission(to) {}

  Submission& submission;
  std::optional<uint32_t> tasks, min_cpus_per_node;
  bool overcommit = false;
  bool hold = false;
  std::string gres, gpus_per_node;  // as tres_per_node writes them
  std::string memory_option;        // the one of --mem, --mem-per-cpu, --mem-per-gpu that was given
  std::string exported = "ALL";     // --export
  std::optional<std::string> wrap;
};

enum class TakesValue : uint8_t { kNo, kRequired, kOptional };

struct SbatchOption {
  std::string_view name;  // "time"
  char letter;            // 't'; 0 = none
  TakesValue takes;
  // Errors: the value and what is wrong with it. nullptr: no influence on what we look at.
  Status (*set)(std::string_view value, SbatchDraft& draft);
};

// Source: sbatch(1) and `sbatch --help` of 22.05; the release notes of 23.02 to 25.05.
std::span<const SbatchOption> sbatch_options();

}  // namespace auspex
