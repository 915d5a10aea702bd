// SPDX-License-Identifier: Apache-2.0
#include "shared/slice_audit.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "shared/units.h"

namespace auspex {
namespace {

constexpr std::string_view kHead = "auspex-mig:1 ";

// "asked=gres:gpu:1" at the beginning of `text` is taken from it, with the blank behind it.
bool take(std::string_view& text, std::string_view name, std::string& value) {
  if (!text.starts_with(name)) return false;
  text.remove_prefix(name.size());
  const size_t end = std::min(text.find(' '), text.size());
  value = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return !value.empty();
}

std::optional<SliceAudit> read(std::string_view text) {
  SliceAudit audit;
  std::string memory;
  const bool whole = take(text, "asked=", audit.asked) && take(text, "applied=", audit.applied) &&
                     take(text, "memory=", memory);
  const char* end = memory.data() + memory.size();
  const auto [stop, failure] = std::from_chars(memory.data(), end, audit.memory_mib);
  if (!whole || failure != std::errc() || stop != end || !std::isfinite(audit.memory_mib)) {
    return std::nullopt;
  }
  return audit;
}

}  // namespace

std::string slice_audit_text(const SliceAudit& audit) {
  return std::string(kHead) + "asked=" + audit.asked + " applied=" + audit.applied +
         " memory=" + format_whole(audit.memory_mib);
}

std::optional<SliceAudit> find_slice_audit(std::string_view comment) {
  std::optional<SliceAudit> last;
  for (size_t at = comment.find(kHead); at != std::string_view::npos;
       at = comment.find(kHead, at + 1)) {
    const bool starts = at == 0 || comment[at - 1] == ' ';
    if (auto found = starts ? read(comment.substr(at + kHead.size())) : std::nullopt) last = found;
  }
  return last;
}

}  // namespace auspex
