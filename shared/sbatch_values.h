// SPDX-License-Identifier: Apache-2.0
// The values of sbatch's options that only sbatch has.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "shared/result.h"

namespace auspex {

// "'4x' is not a whole number above 0".
Error wrong_value(std::string_view value, const std::string& what);

// nullopt: no whole number in [min, max], or more than that.
template <class Number>
std::optional<Number> whole_number(std::string_view value, Number min, Number max) {
  Number number{};
  const char* end = value.data() + value.size();
  const auto [stop, failure] = std::from_chars(value.data(), end, number);
  if (failure != std::errc() || stop != end || number < min || number > max) return std::nullopt;
  return number;
}

// 1 to 2147483647.
Result<uint32_t> parse_positive(std::string_view value);

// Whole numbers with K, M, G or T; sacct's, in units.h, may have fractions. Units: MiB.
Result<uint64_t> parse_sbatch_memory_mib(std::string_view value);

struct NodeRange {
  uint32_t min = 0;
  std::optional<uint32_t> max;
};
// "4", "2-8", "1k", "0".
Result<NodeRange> parse_node_range(std::string_view value);

struct EndSignal {
  uint32_t number = 0;
  uint32_t seconds_before_end = 60;  // Source: sbatch(1), --signal
};
// "USR1", "SIGTERM@120", "B:10@300".
Result<EndSignal> parse_end_signal(std::string_view value);

// "a100:2,h100:1" with `prefix` ("gres/gpu:") before each entry; an entry's own "gres:" or "gres/"
// gives way to it.
std::string prefixed_tres(std::string_view list, std::string_view prefix);

}  // namespace auspex
