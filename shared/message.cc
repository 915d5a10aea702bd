// SPDX-License-Identifier: Apache-2.0
#include "shared/message.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "shared/units.h"

namespace auspex {
namespace {

using Writer = std::string (*)(const Decision&);

std::string asked(const Decision& d) {
  return format_time_limit(*d.asked_min);
}

std::string limit(const Decision& d) {
  return format_time_limit(*d.proposed_min);
}

std::string share(const Decision& d) {
  return format_share(d.quantile_level);
}

std::string p50(const Decision& d) {
  return format_time_limit(static_cast<uint32_t>(std::ceil(d.prediction->quantile_s(.5) / 60)));
}

std::string mode(const Decision& d) {
  return std::string(mode_name(d.mode));
}

std::string extended(const Decision& d) {
  if (d.mode != Mode::kGuarded) return "";
  return "; if yours does not, it is extended up to " + asked(d);
}

constexpr std::array<std::pair<std::string_view, Writer>, 6> kFields = {{
    {"{asked}", asked},
    {"{limit}", limit},
    {"{share}", share},
    {"{p50}", p50},
    {"{mode}", mode},
    {"{extended}", extended},
}};

// The field at the beginning of a text that begins with a "{".
const std::pair<std::string_view, Writer>* field_at(std::string_view text) {
  const auto* found = std::find_if(kFields.begin(), kFields.end(),
                                   [text](const auto& f) { return text.starts_with(f.first); });
  return found == kFields.end() ? nullptr : found;
}

}  // namespace

std::vector<std::string> message_fields() {
  std::vector<std::string> names;
  for (const auto& field : kFields) names.emplace_back(field.first);
  return names;
}

std::optional<std::string> unknown_field(std::string_view text) {
  for (size_t at = text.find('{'); at != std::string_view::npos; at = text.find('{', at + 1)) {
    if (field_at(text.substr(at)) == nullptr) {
      return std::string(text.substr(at, text.find('}', at) - at + 1));
    }
  }
  return std::nullopt;
}

std::string message_text(std::string_view text, const Decision& decision) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const auto* field = field_at(text.substr(at));
    if (field != nullptr) {
      out += field->second(decision);
      at += field->first.size();
    } else {
      out += text[at++];
    }
  }
  return out.substr(0, kMaxMessageTextBytes);
}

}  // namespace auspex
