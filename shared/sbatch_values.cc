// SPDX-License-Identifier: Apache-2.0
#include "shared/sbatch_values.h"

#include <algorithm>
#include <cctype>
#include <csignal>
#include <cstring>

#include "shared/units.h"

namespace auspex {
namespace {

std::optional<uint32_t> node_count(std::string_view value) {
  uint32_t factor = 1;
  if (value.ends_with('k') || value.ends_with('K')) factor = 1024;
  if (value.ends_with('m') || value.ends_with('M')) factor = 1024 * 1024;
  if (factor > 1) value.remove_suffix(1);
  const auto number = whole_number<uint32_t>(value, 0, 0x7fffffff / factor);
  if (!number) return std::nullopt;
  return *number * factor;
}

std::optional<uint32_t> signal_number(std::string_view value) {
  if (const auto number = whole_number<uint32_t>(value, 1, 0xfffd)) return number;
  std::string name(value);
  for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (int signal = 1; signal < NSIG; ++signal) {
    const char* known = sigabbrev_np(signal);
    if (known != nullptr && name == known) return static_cast<uint32_t>(signal);
  }
  return std::nullopt;
}

}  // namespace

Error wrong_value(std::string_view value, const std::string& what) {
  return Error{"'" + std::string(value) + "' " + what};
}

Result<uint32_t> parse_positive(std::string_view value) {
  const auto number = whole_number<uint32_t>(value, 1, 0x7fffffff);
  if (!number) return wrong_value(value, "is not a whole number above 0");
  return *number;
}

Result<uint64_t> parse_sbatch_memory_mib(std::string_view value) {
  Result<uint64_t> mib = parse_memory_mib(value);
  if (mib && value.find_first_of(".Pp") == std::string_view::npos) return mib;
  return wrong_value(value, "is not a memory size (500, 500M, 4G, 1T, 1024K; no suffix means MiB)");
}

Result<NodeRange> parse_node_range(std::string_view value) {
  const size_t dash = value.find('-');
  const auto least = node_count(value.substr(0, dash));
  const auto most = dash == std::string_view::npos ? least : node_count(value.substr(dash + 1));
  if (!least || !most || *most < *least) {
    return wrong_value(value, "is not a node count (4, 2-8, 1k)");
  }
  return NodeRange{*least, *most == 0 ? std::nullopt : most};
}

Result<EndSignal> parse_end_signal(std::string_view value) {
  const Error error =
      wrong_value(value, "is not a signal ([R][B]:SIGNAL[@SECONDS], seconds up to 65535)");
  std::string_view rest = value;
  if (const size_t colon = rest.find(':'); colon != std::string_view::npos) {
    if (rest.substr(0, colon).find_first_not_of("RBrb") != std::string_view::npos) return error;
    rest.remove_prefix(colon + 1);
  }
  EndSignal signal;
  if (const size_t at = rest.find('@'); at != std::string_view::npos) {
    const auto seconds = whole_number<uint32_t>(rest.substr(at + 1), 0, 0xffff);
    if (!seconds) return error;
    signal.seconds_before_end = *seconds;
    rest = rest.substr(0, at);
  }
  const auto number = signal_number(rest);
  if (!number) return error;
  signal.number = *number;
  return signal;
}

std::string prefixed_tres(std::string_view list, std::string_view prefix) {
  std::string prefixed;
  while (!list.empty()) {
    std::string_view entry = list.substr(0, list.find(','));
    list.remove_prefix(std::min(entry.size() + 1, list.size()));
    if (entry.starts_with("gres:") || entry.starts_with("gres/")) entry.remove_prefix(5);
    if (entry.empty()) continue;
    prefixed += prefixed.empty() ? "" : ",";
    prefixed.append(prefix).append(entry);
  }
  return prefixed;
}

}  // namespace auspex
