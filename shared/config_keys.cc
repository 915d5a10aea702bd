// SPDX-License-Identifier: Apache-2.0
#include "shared/config_keys.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <span>
#include <string_view>
#include <utility>

#include "shared/message.h"
#include "shared/mig.h"
#include "shared/printable.h"

namespace auspex {
namespace {

using Complaint = ConfigComplaint;
using Taken = std::optional<Complaint>;

constexpr size_t kMaxListItems = 1000;
constexpr size_t kMaxTextBytes = 255;
constexpr size_t kMaxPathBytes = 4095;   // Source: limits.h, PATH_MAX less the final NUL
constexpr size_t kMaxSocketBytes = 107;  // Source: unix(7), sun_path less the final NUL

// In the order of the enums.
constexpr std::array<std::string_view, 6> kModes = {"off",  "observe", "advise",
                                                    "soft", "guarded", "hard"};
constexpr std::array<std::string_view, 3> kBackends = {"auto", "cpu", "cuda"};
constexpr std::array<std::string_view, 2> kShapes = {"log", "linear"};
constexpr std::array<std::string_view, 3> kLookModes = {"off", "observe", "on"};
constexpr std::array<std::string_view, 2> kWhenNoneAsked = {"leave", "set"};
constexpr std::array<std::string_view, 3> kMigModes = {"off", "advise", "apply"};

std::string number_text(double value) {
  std::array<char, 32> text{};
  const auto [end, failure] =
      std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  return failure == std::errc() ? std::string(text.data(), end) : "?";
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    if (!text.empty()) text += separator;
    text += part;
  }
  return text;
}

Taken complain(std::string what, const YAML::Node& node) {
  return Complaint{std::move(what), node.Mark()};
}

// What stands there instead of a plain value.
std::string_view shape_of(const YAML::Node& node) {
  if (node.IsMap()) return "a mapping";
  if (node.IsSequence()) return "a list";
  return "nothing";
}

Taken read_scalar(const YAML::Node& node, std::string& text) {
  if (!node.IsScalar()) return Complaint{std::string(shape_of(node)) + " stands here"};
  if (node.Scalar().empty()) return Complaint{"an empty text stands here"};
  text = node.Scalar();
  return std::nullopt;
}

Taken read_text(const YAML::Node& node, size_t max_bytes, std::string& to) {
  std::string text;
  if (Taken complaint = read_scalar(node, text)) return complaint;
  if (text.size() > max_bytes) return Complaint{printable(text) + " is too long"};
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 127; };
  if (std::any_of(text.begin(), text.end(), is_control)) {
    return Complaint{printable(text) + " holds a control character"};
  }
  to = std::move(text);
  return std::nullopt;
}

template <class Number, class Target>
Taken read_number(const YAML::Node& node, Number min, Number max, Target& to) {
  std::string text;
  if (Taken complaint = read_scalar(node, text)) return complaint;
  Number number{};
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  // A quoted scalar carries the tag "!".
  if (node.Tag() == "!") return Complaint{printable(text) + " is a text, not a number"};
  const bool whole = std::integral<Number>;
  if (failure == std::errc::result_out_of_range)
    return Complaint{printable(text) + " is out of range"};
  if (failure != std::errc() || stop != end || std::isnan(static_cast<double>(number))) {
    return Complaint{printable(text) + (whole ? " is not a whole number" : " is not a number")};
  }
  if (number < min || number > max) return Complaint{printable(text) + " is out of range"};
  to = number;
  return std::nullopt;
}

std::string show(uint32_t value) {
  return std::to_string(value);
}
std::string show(double value) {
  return number_text(value);
}
std::string show(const std::optional<double>& value) {
  return value ? show(*value) : "as risk";
}

ConfigKey whole(std::string name, uint32_t& to, uint32_t min, uint32_t max) {
  return {std::move(name), "whole number, " + show(min) + " to " + show(max),
          [&to, min, max](const YAML::Node& node) { return read_number(node, min, max, to); },
          [&to] { return show(to); }};
}

template <class Target>  // double or std::optional<double>
ConfigKey decimal(std::string name, Target& to, double min, double max) {
  return {std::move(name), show(min) + " to " + show(max),
          [&to, min, max](const YAML::Node& node) { return read_number(node, min, max, to); },
          [&to] { return show(to); }};
}

ConfigKey text(std::string name, std::string& to, std::string allowed) {
  return {std::move(name), std::move(allowed),
          [&to](const YAML::Node& node) { return read_text(node, kMaxTextBytes, to); },
          [&to] { return to; }};
}

ConfigKey path(std::string name, std::string& to, size_t max_bytes) {
  const auto read = [&to, max_bytes](const YAML::Node& node) -> Taken {
    std::string value;
    if (Taken complaint = read_text(node, max_bytes, value)) return complaint;
    if (value.front() != '/') return Complaint{printable(value) + " is not an absolute path"};
    to = std::move(value);
    return std::nullopt;
  };
  return {std::move(name), "absolute path of at most " + std::to_string(max_bytes) + " bytes", read,
          [&to] { return to; }};
}

// A line for the user, with fields to fill in.
ConfigKey message(std::string name, std::string& to) {
  const auto read = [&to](const YAML::Node& node) -> Taken {
    std::string value;
    if (Taken complaint = read_text(node, kMaxMessageTemplateBytes, value)) return complaint;
    if (const auto unknown = unknown_field(value)) {
      return Complaint{printable(*unknown) + " is not known"};
    }
    to = std::move(value);
    return std::nullopt;
  };
  return {std::move(name), "a text with " + joined(message_fields(), " "), read,
          [&to] { return to; }};
}

// As path(), or the empty text for none.
ConfigKey path_or_none(std::string name, std::string& to, size_t max_bytes) {
  ConfigKey key = path(std::move(name), to, max_bytes);
  key.allowed += ", or \"\"";
  key.read = [&to, read = std::move(key.read)](const YAML::Node& node) -> Taken {
    if (!node.IsScalar() || !node.Scalar().empty()) return read(node);
    to.clear();
    return std::nullopt;
  };
  key.show = [&to] { return to.empty() ? std::string("not kept") : to; };
  return key;
}

template <class Enum>
std::string show_choice(const Enum& value, std::span<const std::string_view> words) {
  return std::string(words[static_cast<size_t>(value)]);
}

template <class Enum>
std::string show_choice(const std::optional<Enum>& value, std::span<const std::string_view> words) {
  return value ? show_choice(*value, words) : "as everywhere";
}

template <class Enum>
Enum from_index(const Enum& /*as*/, std::ptrdiff_t index) {
  return static_cast<Enum>(index);
}

template <class Enum>
Enum from_index(const std::optional<Enum>& /*as*/, std::ptrdiff_t index) {
  return static_cast<Enum>(index);
}

template <class Target, size_t N>  // an enum or an optional one
ConfigKey choice(std::string name, Target& to, const std::array<std::string_view, N>& words) {
  const auto read = [&to, &words](const YAML::Node& node) -> Taken {
    std::string word;
    if (Taken complaint = read_scalar(node, word)) return complaint;
    const auto found = std::find(words.begin(), words.end(), word);
    if (found == words.end()) return Complaint{printable(word) + " is not known"};
    to = from_index(to, found - words.begin());
    return std::nullopt;
  };
  return {std::move(name), joined({words.begin(), words.end()}, ", "), read,
          [&to, &words] { return show_choice(to, words); }};
}

// One text or a list of texts.
ConfigKey texts(std::string name, std::vector<std::string>& to, std::string allowed) {
  const auto read = [&to](const YAML::Node& node) -> Taken {
    std::vector<std::string> values;
    if (!node.IsSequence()) {
      if (Taken complaint = read_text(node, kMaxTextBytes, values.emplace_back())) return complaint;
      to = std::move(values);
      return std::nullopt;
    }
    if (node.size() == 0) return Complaint{"an empty list stands here (leave the key out)"};
    if (node.size() > kMaxListItems)
      return Complaint{std::to_string(node.size()) + " are too many"};
    for (const YAML::Node& item : node) {
      if (Taken complaint = read_text(item, kMaxTextBytes, values.emplace_back())) {
        return complain(complaint->what, item);
      }
    }
    to = std::move(values);
    return std::nullopt;
  };
  return {std::move(name), std::move(allowed), read,
          [&to] { return to.empty() ? std::string("any") : joined(to, ", "); }};
}

// "1g.5gb", "3g.40gb", "1g.10gb+me". Source: NVIDIA MIG user guide, profile names.
bool is_mig_profile(std::string_view word) {
  const auto skip_digits = [&word] {
    const size_t count = std::min(word.find_first_not_of("0123456789"), word.size());
    word.remove_prefix(count);
    return count > 0;
  };
  if (!skip_digits() || !word.starts_with("g.")) return false;
  word.remove_prefix(2);
  if (!skip_digits() || !word.starts_with("gb")) return false;
  word.remove_prefix(2);
  return word.empty() || (word.front() == '+' && word.size() > 1);
}

// Absolute paths; none is the empty list.
ConfigKey folders(std::string name, std::vector<std::string>& to) {
  const auto read = [&to](const YAML::Node& node) -> Taken {
    if (!node.IsSequence()) return Complaint{"no list stands here"};
    if (node.size() > kMaxListItems)
      return Complaint{std::to_string(node.size()) + " are too many"};
    std::vector<std::string> values;
    for (const YAML::Node& item : node) {
      if (Taken complaint = read_text(item, kMaxTextBytes, values.emplace_back())) {
        return complain(complaint->what, item);
      }
      if (values.back().front() != '/') {
        return complain(printable(values.back()) + " is not an absolute path", item);
      }
    }
    to = std::move(values);
    return std::nullopt;
  };
  return {std::move(name), "a list of at most 1000 absolute paths", read,
          [&to] { return to.empty() ? std::string("none") : joined(to, ", "); }};
}

bool is_any(std::string_view /*word*/) {
  return true;
}

bool is_mig_card(std::string_view word) {
  return mig_card(word) != nullptr;
}

// A mapping of texts to texts; each name on its left side must pass `fits`, on its right `suits`.
ConfigKey pairs(std::string name, std::map<std::string, std::string>& to,
                bool (*fits)(std::string_view), std::string allowed,
                bool (*suits)(std::string_view) = is_any) {
  const auto read = [&to, fits, suits](const YAML::Node& node) -> Taken {
    if (!node.IsMap()) return Complaint{"no mapping stands here"};
    if (node.size() > kMaxListItems)
      return Complaint{std::to_string(node.size()) + " are too many"};
    std::map<std::string, std::string> values;
    for (const auto& entry : node) {
      std::string left, right;
      if (Taken complaint = read_text(entry.first, kMaxTextBytes, left)) {
        return complain(complaint->what, entry.first);
      }
      if (!fits(left)) return complain(printable(left) + " is not known", entry.first);
      if (Taken complaint = read_text(entry.second, kMaxTextBytes, right)) {
        return complain(printable(left) + ": " + complaint->what, entry.first);
      }
      if (!suits(right)) {
        return complain(printable(left) + ": " + printable(right) + " is not known", entry.second);
      }
      if (!values.emplace(left, right).second) {
        return complain(printable(left) + " stands here twice", entry.first);
      }
    }
    to = std::move(values);
    return std::nullopt;
  };
  const auto show_pairs = [&to] {
    std::vector<std::string> parts;
    for (const auto& [left, right] : to) parts.push_back(left + ": " + right);
    return parts.empty() ? std::string("none") : joined(parts, ", ");
  };
  return {std::move(name), std::move(allowed), read, show_pairs};
}

}  // namespace

// The bounds are explained in etc/auspex.yaml.
std::vector<ConfigKey> config_keys(Config& config) {
  return {
      path("socket", config.socket, kMaxSocketBytes),
      whole("deadline_us", config.deadline_us, 100, 1'000'000),
      choice("backend", config.backend, kBackends),
      path("model", config.model, kMaxPathBytes),
      choice("mode", config.mode, kModes),
      decimal("risk", config.risk, 0.0001, 0.5),
      text("slurm_user", config.slurm_user, "user name or uid"),
      whole("order.weight", config.order.weight, 0, 10'000'000),
      choice("order.shape", config.order.shape, kShapes),
      whole("limits.floor_min", config.limits.floor_min, 1, 10'080),
      whole("limits.round_min", config.limits.round_min, 1, 1'440),
      decimal("limits.margin", config.limits.margin, 1, 10),
      choice("limits.when_none_asked", config.limits.when_none_asked, kWhenNoneAsked),
      whole("guard.lead_min", config.guard.lead_min, 1, 1'440),
      whole("guard.steps", config.guard.steps, 1, 100),
      whole("guard.interval_s", config.guard.interval_s, 1, 3'600),
      choice("second_look.mode", config.second_look.mode, kLookModes),
      whole("second_look.per_minute", config.second_look.per_minute, 2, 6'000),
      whole("second_look.per_job", config.second_look.per_job, 1, 100),
      message("message.shortened", config.message.shortened),
      message("message.soft", config.message.soft),
      message("message.advised", config.message.advised),
      path_or_none("history.state", config.history.state, kMaxPathBytes),
      whole("history.keys", config.history.keys, 16, 1'048'576),
      path_or_none("ledger.path", config.ledger.path, kMaxPathBytes),
      whole("ledger.keep_days", config.ledger.keep_days, 1, 36'500),
      choice("mig.mode", config.mig.mode, kMigModes),
      decimal("mig.headroom", config.mig.headroom, 0, 0.9),
      decimal("mig.context_mib", config.mig.context_mib, 0, 100'000),
      folders("mig.model_dirs", config.mig.model_dirs),
      pairs("mig.partitions", config.mig.partitions, is_any,
            "partition: one of " + mig_card_names(), is_mig_card),
      pairs("mig.types", config.mig.types, is_mig_profile, "MIG profile (1g.5gb): GRES type"),
  };
}

std::vector<ConfigKey> rule_keys(Rule& rule) {
  const std::string names = "a text or a list of at most 1000";
  return {
      texts("match.partition", rule.match.partition, names),
      texts("match.account", rule.match.account, names),
      texts("match.user", rule.match.user, names),
      texts("match.qos", rule.match.qos, names),
      texts("match.name", rule.match.name, names + ", with * ? [...]"),
      choice("mode", rule.mode, kModes),
      decimal("risk", rule.risk, 0.0001, 0.5),
      choice("second_look", rule.second_look, kLookModes),
  };
}

}  // namespace auspex
