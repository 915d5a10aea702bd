// SPDX-License-Identifier: Apache-2.0
#include "shared/sbatch_time.h"

#include <array>
#include <cctype>
#include <charconv>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

namespace auspex {
namespace {

// A point in time as it comes together from words.
struct Moment {
  std::tm local{};  // begins as now
  bool has_date = false, has_year = false, has_time = false;
};

struct Form {
  const char* format;  // of strptime(3), for a lower-case text
  size_t length;       // the text's; 0 = any
  bool date, year, time;
};

// Source: sbatch(1), --begin and --deadline.
constexpr std::array<Form, 15> kForms = {{
    {"%Y-%m-%dt%H:%M:%S", 0, true, true, true},
    {"%Y-%m-%dt%H:%M", 0, true, true, true},
    {"%Y-%m-%d", 0, true, true, false},
    {"%m/%d/%y-%H:%M:%S", 0, true, true, true},
    {"%m/%d/%y-%H:%M", 0, true, true, true},
    {"%m/%d/%y", 0, true, true, false},
    {"%m/%d", 0, true, false, false},
    {"%m.%d.%y", 0, true, true, false},
    {"%m.%d", 0, true, false, false},
    {"%m%d%y", 6, true, true, false},
    {"%m%d", 4, true, false, false},
    {"%I:%M:%S%p", 0, false, false, true},
    {"%I:%M%p", 0, false, false, true},
    {"%H:%M:%S", 0, false, false, true},
    {"%H:%M", 0, false, false, true},
}};

struct Hour {
  std::string_view word;
  int hour;
};
constexpr std::array<Hour, 4> kHours = {
    {{"midnight", 0}, {"noon", 12}, {"fika", 15}, {"teatime", 16}}};

struct Unit {
  std::string_view word;
  int64_t seconds;
};
constexpr std::array<Unit, 6> kUnits = {
    {{"", 1}, {"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}, {"week", 604800}}};

// Lower case, in words; "4:30 pm" becomes one word.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool in_word = false;
  for (const char raw : text) {
    if (raw == ' ' || raw == '\t') {
      in_word = false;
      continue;
    }
    if (!in_word) words.emplace_back();
    in_word = true;
    words.back() += static_cast<char>(std::tolower(static_cast<unsigned char>(raw)));
  }
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i] != "am" && words[i] != "pm") continue;
    words[i - 1] += words[i];
    words.erase(words.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return words;
}

// What follows "now", blanks taken out: "", "+60", "+1hour", "-2days".
std::optional<int64_t> offset_seconds(std::string_view text) {
  if (text.empty()) return 0;
  const int64_t sign = text.front() == '-' ? -1 : 1;
  if (text.front() != '+' && text.front() != '-') return std::nullopt;
  text.remove_prefix(1);
  uint32_t count = 0;
  const auto [stop, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (failure != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(stop - text.data()));
  if (text.size() > 1 && text.back() == 's') text.remove_suffix(1);
  for (const Unit& unit : kUnits) {
    if (text == unit.word) return sign * static_cast<int64_t>(count) * unit.seconds;
  }
  return std::nullopt;
}

bool take_form(const std::string& word, Moment& moment) {
  for (const Form& form : kForms) {
    if (form.length != 0 && word.size() != form.length) continue;
    std::tm read = moment.local;
    if (form.time) read.tm_sec = 0;  // a form without seconds means the full minute
    const char* rest = strptime(word.c_str(), form.format, &read);
    if (rest == nullptr || *rest != '\0') continue;
    if ((form.date && moment.has_date) || (form.time && moment.has_time)) return false;
    moment.local = read;
    moment.has_date |= form.date;
    moment.has_year |= form.year;
    moment.has_time |= form.time;
    return true;
  }
  return false;
}

bool take_word(const std::string& word, Moment& moment) {
  for (const Hour& hour : kHours) {
    if (word != hour.word) continue;
    if (moment.has_time) return false;
    moment.local.tm_hour = hour.hour;
    moment.local.tm_min = moment.local.tm_sec = 0;
    return moment.has_time = true;
  }
  if (word == "today" || word == "tomorrow") {
    if (moment.has_date) return false;
    if (word == "tomorrow") ++moment.local.tm_mday;
    return moment.has_date = moment.has_year = true;
  }
  return take_form(word, moment);
}

}  // namespace

Result<int64_t> parse_point_in_time(std::string_view text, int64_t now_s) {
  const Error error{"'" + std::string(text) +
                    "' is not a point in time (now+1hour, 16:00, tomorrow, 2030-01-20T12:34, ...)"};
  const std::vector<std::string> words = words_of(text);
  if (words.empty()) return error;

  if (words[0].starts_with("now")) {
    std::string offset = words[0].substr(3);
    for (size_t i = 1; i < words.size(); ++i) offset += words[i];
    const std::optional<int64_t> seconds = offset_seconds(offset);
    if (!seconds) return error;
    return now_s + *seconds;
  }
  if (words.size() == 1 && words[0].starts_with("uts")) {
    int64_t seconds = 0;
    const char* end = words[0].data() + words[0].size();
    const auto [stop, failure] = std::from_chars(words[0].data() + 3, end, seconds);
    if (failure != std::errc() || stop != end || seconds < 0) return error;
    return seconds;
  }

  Moment moment;
  const time_t now = static_cast<time_t>(now_s);
  localtime_r(&now, &moment.local);
  for (const std::string& word : words) {
    if (!take_word(word, moment)) return error;
  }
  if (!moment.has_time) moment.local.tm_hour = moment.local.tm_min = moment.local.tm_sec = 0;
  const auto seconds_of = [](std::tm local) {
    local.tm_isdst = -1;
    return static_cast<int64_t>(mktime(&local));
  };
  if (seconds_of(moment.local) < now_s) {
    if (!moment.has_date) ++moment.local.tm_mday;
    if (moment.has_date && !moment.has_year) ++moment.local.tm_year;
  }
  return seconds_of(moment.local);
}

}  // namespace auspex
