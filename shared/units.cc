// SPDX-License-Identifier: Apache-2.0
#include "shared/units.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <ctime>
#include <limits>
#include <optional>

namespace auspex {
namespace {

// slurm.h: INFINITE is 0xffffffff, NO_VAL 0xfffffffe, NO_VAL - 1 is used inside Slurm.
constexpr uint64_t kLongestLimitMin = 0xfffffffc;
// The highest bit of Slurm's memory field means "per CPU".
constexpr double kLargestMemoryMib = 9.2e18;

Error not_a(std::string_view what, std::string_view text) {
  return Error{"'" + std::string(text) + "' is not a " + std::string(what)};
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Digits only: no sign, no blanks, no overflow.
std::optional<uint64_t> whole_number(std::string_view text) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  if (failure != std::errc() || stop != end) return std::nullopt;
  return value;
}

// "12", "12.5", ".5" and "12."; no sign, exponent, "nan" or "inf".
std::optional<double> decimal_number(std::string_view text) {
  const bool plain =
      std::all_of(text.begin(), text.end(), [](char c) { return is_digit(c) || c == '.'; });
  if (!plain || std::none_of(text.begin(), text.end(), is_digit)) return std::nullopt;
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, value);
  if (failure != std::errc() || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(), [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == b;
  });
}

// Splits at ':' into at most N fields; nullopt when there are more.
template <size_t N>
std::optional<size_t> split_fields(std::string_view text, std::array<std::string_view, N>& fields) {
  size_t count = 0;
  while (count < N) {
    const size_t colon = text.find(':');
    fields[count++] = text.substr(0, colon);
    if (colon == std::string_view::npos) return count;
    text.remove_prefix(colon + 1);
  }
  return std::nullopt;
}

// The power of 1024 of a size suffix, K being 1; 0 for none of them.
int power_of_suffix(char suffix) {
  switch (std::toupper(static_cast<unsigned char>(suffix))) {
    case 'K':
      return 1;
    case 'M':
      return 2;
    case 'G':
      return 3;
    case 'T':
      return 4;
    case 'P':
      return 5;
    default:
      return 0;
  }
}

// [days-]a[:b[:c]] in seconds, overflow checked by computing in double (exact below 2^53).
std::optional<double> limit_seconds(std::string_view text) {
  const size_t dash = text.find('-');
  const bool has_days = dash != std::string_view::npos;
  std::optional<uint64_t> days = 0;
  if (has_days) {
    days = whole_number(text.substr(0, dash));
    text.remove_prefix(dash + 1);
    if (text.empty()) text = "0";  // sbatch takes "1-" for one day
  }
  std::array<std::string_view, 3> fields;
  const std::optional<size_t> count = split_fields(text, fields);
  if (!days || !count) return std::nullopt;

  std::array<double, 3> value{};
  for (size_t i = 0; i < *count; ++i) {
    const std::optional<uint64_t> number = whole_number(fields[i]);
    if (!number) return std::nullopt;
    value[i] = static_cast<double>(*number);
  }
  // After days the first field is hours; alone it is minutes; three fields are hours first.
  if (has_days || *count == 3) {
    return static_cast<double>(*days) * 86400 + value[0] * 3600 + value[1] * 60 + value[2];
  }
  return value[0] * 60 + value[1];
}

}  // namespace

Result<uint32_t> parse_time_limit_min(std::string_view text) {
  if (text == "-1" || equals_ignoring_case(text, "unlimited") ||
      equals_ignoring_case(text, "infinite")) {
    return kUnlimitedMin;
  }
  const std::optional<double> seconds = limit_seconds(text);
  if (!seconds) {
    return not_a("time limit (minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM, D-HH:MM:SS, UNLIMITED)",
                 text);
  }
  const double minutes = std::ceil(*seconds / 60);
  if (minutes > static_cast<double>(kLongestLimitMin)) {
    return Error{"'" + std::string(text) + "' is longer than Slurm can hold; say UNLIMITED"};
  }
  return static_cast<uint32_t>(minutes);
}

Result<double> parse_duration_s(std::string_view text) {
  const auto error = [&] { return not_a("duration ([D-]HH:MM:SS or MM:SS)", text); };
  std::string_view rest = text;
  const size_t dash = rest.find('-');
  const bool has_days = dash != std::string_view::npos;
  std::optional<uint64_t> days = 0;
  if (has_days) {
    days = whole_number(rest.substr(0, dash));
    rest.remove_prefix(dash + 1);
  }
  std::array<std::string_view, 3> fields;
  const std::optional<size_t> count = split_fields(rest, fields);
  if (!days || !count || *count < 2 || (has_days && *count != 3)) return error();

  // Right-aligned: seconds last; only the seconds may have a fraction.
  const std::string_view seconds_text = fields[*count - 1];
  if (seconds_text.empty() || !is_digit(seconds_text.front())) return error();
  const std::optional<double> seconds = decimal_number(seconds_text);
  const std::optional<uint64_t> minutes = whole_number(fields[*count - 2]);
  const std::optional<uint64_t> hours = *count == 3 ? whole_number(fields[0]) : 0;
  if (!seconds || !minutes || !hours || *seconds >= 60) return error();
  if (*count == 3 && *minutes >= 60) return error();
  if (has_days && *hours >= 24) return error();
  return static_cast<double>(*days) * 86400 + static_cast<double>(*hours) * 3600 +
         static_cast<double>(*minutes) * 60 + *seconds;
}

std::string format_time_limit(uint32_t minutes) {
  if (minutes == kUnlimitedMin) return "UNLIMITED";
  const auto two_digits = [](uint32_t value) {
    return std::string(value < 10 ? "0" : "") + std::to_string(value);
  };
  const uint32_t days = minutes / 1440;
  const std::string clock = two_digits(minutes / 60 % 24) + ":" + two_digits(minutes % 60) + ":00";
  return days == 0 ? clock : std::to_string(days) + "-" + clock;
}

Result<uint64_t> parse_memory_mib(std::string_view text) {
  std::string_view digits = text;
  int power = 2;
  if (digits.size() > 1 && (digits.back() == 'B' || digits.back() == 'b') &&
      power_of_suffix(digits[digits.size() - 2]) != 0) {
    digits.remove_suffix(1);  // "4GB"
  }
  if (!digits.empty() && power_of_suffix(digits.back()) != 0) {
    power = power_of_suffix(digits.back());
    digits.remove_suffix(1);
  }
  const std::optional<double> number = decimal_number(digits);
  if (!number) return not_a("memory size (500, 500M, 4G, 1.5T, 1024K; no suffix means MiB)", text);
  const double mib = std::ceil(std::ldexp(*number, 10 * (power - 2)));
  if (mib > kLargestMemoryMib) {
    return Error{"'" + std::string(text) + "' is more memory than Slurm can hold"};
  }
  return static_cast<uint64_t>(mib);
}

Result<double> parse_count(std::string_view text) {
  std::string_view digits = text;
  int power = 0;
  if (!digits.empty() && power_of_suffix(digits.back()) != 0) {
    power = power_of_suffix(digits.back());
    digits.remove_suffix(1);
  }
  const std::optional<double> number = decimal_number(digits);
  if (!number) return not_a("count (12, 1.5K, 2M, 1G)", text);
  return std::ldexp(*number, 10 * power);
}

Result<int64_t> parse_timestamp(std::string_view text) {
  const auto error = [&] {
    return not_a("time (2021-05-01T00:06:13, or seconds since 1970)", text);
  };
  if (const std::optional<uint64_t> seconds = whole_number(text)) {
    if (*seconds > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return error();
    return static_cast<int64_t>(*seconds);
  }
  constexpr std::string_view kShape = "dddd-dd-dd dd:dd:dd";
  if (text.size() != kShape.size()) return error();
  for (size_t i = 0; i < kShape.size(); ++i) {
    const bool fits = kShape[i] == 'd'   ? is_digit(text[i])
                      : kShape[i] == ' ' ? text[i] == ' ' || text[i] == 'T'
                                         : text[i] == kShape[i];
    if (!fits) return error();
  }
  const auto field = [&](size_t at, size_t length) {
    return static_cast<int>(*whole_number(text.substr(at, length)));
  };
  std::tm local{};
  local.tm_year = field(0, 4) - 1900;
  local.tm_mon = field(5, 2) - 1;
  local.tm_mday = field(8, 2);
  local.tm_hour = field(11, 2);
  local.tm_min = field(14, 2);
  local.tm_sec = field(17, 2);
  local.tm_isdst = -1;  // let the C library find out
  if (local.tm_hour > 23 || local.tm_min > 59 || local.tm_sec > 60) return error();

  // timegm normalises "February 30" to March: a date that changes was none.
  std::tm day{};
  day.tm_year = local.tm_year;
  day.tm_mon = local.tm_mon;
  day.tm_mday = local.tm_mday;
  timegm(&day);
  if (day.tm_mon != local.tm_mon || day.tm_mday != local.tm_mday) return error();
  return static_cast<int64_t>(mktime(&local));
}

namespace {

std::string format(double value, std::chars_format format, int precision) {
  char text[std::numeric_limits<double>::max_exponent10 + 20];
  const auto [end, failure] = std::to_chars(text, text + sizeof(text), value, format, precision);
  return {text, end};
}

}  // namespace

std::string format_general(double value, int digits) {
  return format(value, std::chars_format::general, digits);
}
std::string format_whole(double value) {
  return format(value, std::chars_format::fixed, 0);
}

std::string format_share(double share) {
  return format_general(100 * share, 4) + " %";
}

}  // namespace auspex
