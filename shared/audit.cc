// SPDX-License-Identifier: Apache-2.0
#include "shared/audit.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>
#include <vector>

#include "shared/units.h"

namespace auspex {
namespace {

constexpr std::string_view kHead = "auspex:1 ";
// Where other plugins and people glue their own words on.
constexpr std::string_view kSeparators = " ;,|\t\r\n";
// Source: the bound of guard.steps; more would be made up.
constexpr uint32_t kMostSteps = 100;

std::string minutes_text(uint32_t minutes) {
  return minutes == kUnlimitedMin ? "UNLIMITED" : std::to_string(minutes);
}

template <class Number>
bool read(std::string_view text, Number& to) {
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), to);
  return failure == std::errc() && end == text.data() + text.size();
}

bool read_minutes(std::string_view text, uint32_t& to) {
  if (text == "UNLIMITED") return to = kUnlimitedMin, true;
  return read(text, to);
}

bool read_mode(std::string_view text, Mode& to) {
  for (const Mode mode : {Mode::kAdvise, Mode::kSoft, Mode::kGuarded, Mode::kHard}) {
    if (text == mode_name(mode)) return to = mode, true;
  }
  return false;
}

enum class Word : uint8_t { kRead, kBroken, kNotOurs };

Word read_word(std::string_view word, Audit& audit) {
  const size_t equals = std::min(word.find('='), word.size());
  const std::string_view name = word.substr(0, equals),
                         value = word.substr(equals).substr(equals < word.size() ? 1 : 0);
  const auto taken = [](bool good) { return good ? Word::kRead : Word::kBroken; };
  if (name == "asked") return taken(read_minutes(value, audit.asked_min));
  if (name == "applied") return taken(read_minutes(value, audit.applied_min));
  if (name == "p50") return taken(read(value, audit.p50_min));
  if (name == "q") return taken(read(value, audit.level));
  if (name == "mode") return taken(read_mode(value, audit.mode));
  if (name == "model") return audit.model = value, Word::kRead;
  if (name == "why") return audit.why = value, Word::kRead;
  if (name == "steps") return taken(read(value, audit.steps));
  if (name == "limit") return taken(read_minutes(value, audit.limit_min));
  if (name == "extended") return taken(read(value, audit.extended));
  if (name == "looks") return taken(read(value, audit.looks));
  if (name == "first") return taken(read_minutes(value, audit.first_min));
  if (name == "was") return taken(read_minutes(value, audit.was_min));
  return Word::kNotOurs;
}

struct Found {
  Audit audit;
  size_t begin, end;  // of its text
  bool whole;
};

bool is_whole(const Audit& audit) {
  return audit.asked_min != 0 && audit.applied_min != 0 && audit.mode != Mode::kObserve &&
         audit.steps <= kMostSteps;
}

// From its head to the first word that is none of its own or stands there again.
Found read_at(std::string_view comment, size_t begin) {
  Found found{.audit = {}, .begin = begin, .end = begin + kHead.size() - 1, .whole = true};
  std::vector<std::string_view> seen;
  while (found.end < comment.size() && comment[found.end] == ' ') {
    const size_t next = std::min(comment.find_first_of(kSeparators, found.end + 1), comment.size());
    const std::string_view word = comment.substr(found.end + 1, next - found.end - 1);
    const std::string_view name = word.substr(0, word.find('='));
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) break;
    const Word taken = read_word(word, found.audit);
    if (taken == Word::kNotOurs) break;
    if (taken == Word::kBroken) found.whole = false;
    seen.push_back(name);
    found.end = next;
  }
  found.whole = found.whole && is_whole(found.audit);
  if (found.audit.limit_min == 0) found.audit.limit_min = found.audit.applied_min;
  return found;
}

// The last one that is whole.
std::optional<Found> found_in(std::string_view comment) {
  for (size_t from = comment.size();;) {
    const size_t begin = comment.rfind(kHead, from);
    if (begin == std::string_view::npos) return std::nullopt;
    const bool starts =
        begin == 0 || kSeparators.find(comment[begin - 1]) != std::string_view::npos;
    if (starts) {
      Found found = read_at(comment, begin);
      if (found.whole) return found;
    }
    if (begin == 0) return std::nullopt;
    from = begin - 1;
  }
}

}  // namespace

Audit audit_of(const Decision& d, uint32_t steps) {
  Audit audit;
  audit.asked_min = *d.asked_min;
  audit.applied_min = audit.limit_min = *d.applied_min;
  audit.p50_min = std::round(d.prediction->quantile_s(0.5) / 60);
  audit.level = d.quantile_level;
  audit.mode = d.mode;
  audit.model = d.prediction->model;
  audit.why = why_name(d.why);
  audit.steps = d.mode == Mode::kGuarded ? steps : 0;
  return audit;
}

std::string audit_text(const Audit& a) {
  std::string text = std::string(kHead) + "asked=" + minutes_text(a.asked_min) +
                     " applied=" + minutes_text(a.applied_min) + " p50=" + format_whole(a.p50_min) +
                     " q=" + format_general(a.level, 4) +
                     " mode=" + std::string(mode_name(a.mode)) + " model=" + a.model +
                     " why=" + a.why;
  if (a.steps > 0) text += " steps=" + std::to_string(a.steps);
  if (a.limit_min != a.applied_min) text += " limit=" + minutes_text(a.limit_min);
  if (a.extended > 0) text += " extended=" + std::to_string(a.extended);
  if (a.was_min > 0) text += " was=" + minutes_text(a.was_min);
  if (a.looks > 0) text += " looks=" + std::to_string(a.looks);
  if (a.first_min > 0) text += " first=" + minutes_text(a.first_min);
  return text;
}

std::optional<Audit> find_audit(std::string_view comment) {
  auto found = found_in(comment);
  if (!found) return std::nullopt;
  return std::move(found->audit);
}

std::string with_audit(std::string_view comment, const Audit& audit) {
  const auto found = found_in(comment);
  if (!found) return std::string(comment) + (comment.empty() ? "" : " ") + audit_text(audit);
  return std::string(comment.substr(0, found->begin)) + audit_text(audit) +
         std::string(comment.substr(found->end));
}

}  // namespace auspex
