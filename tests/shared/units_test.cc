// SPDX-License-Identifier: Apache-2.0
#include "shared/units.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <vector>

namespace auspex {
namespace {

struct LimitCase {
  const char* text;
  uint32_t minutes;
};

// sbatch 22.05.8 (-v -t TEXT) understands them so, except that its 0 then means no limit.
constexpr LimitCase kLimits[] = {
    {"0", 0},
    {"90", 90},
    {"007", 7},
    {"90:30", 91},
    {"1:99", 3},
    {"0:1", 1},
    {"0:60", 1},
    {"0:61", 2},
    {"1:30:00", 90},
    {"1:30:01", 91},
    {"60:00:00", 3600},
    {"2-0", 2880},
    {"1-", 1440},
    {"2-12", 3600},
    {"1-25", 2940},
    {"2-12:30", 3630},
    {"2-12:30:15", 3631},
    {"0-0:0:1", 1},
    {"-1", kUnlimitedMin},
    {"UNLIMITED", kUnlimitedMin},
    {"Unlimited", kUnlimitedMin},
    {"infinite", kUnlimitedMin},
    {"4294967292", 4294967292U},
};

TEST(ParseTimeLimit, TakesWhatSbatchTakes) {
  for (const LimitCase& c : kLimits) {
    const Result<uint32_t> minutes = parse_time_limit_min(c.text);
    ASSERT_TRUE(minutes.ok()) << minutes.error().message;
    EXPECT_EQ(minutes.value(), c.minutes) << c.text;
  }
}

TEST(ParseTimeLimit, RefusesWhatSbatchRefuses) {
  for (const char* text : {"",
                           " ",
                           "abc",
                           "5m",
                           " 5",
                           "5 ",
                           "+5",
                           "-5",
                           "-2",
                           "-1-0",
                           "1.5",
                           ":",
                           ":30",
                           "5:",
                           "1::2",
                           "1:2:3:4",
                           "1-2-3",
                           "1--2",
                           "1-:30",
                           "1-2:3:4:5",
                           "-",
                           "2-12:30:15.5",
                           "nan",
                           "inf",
                           "0x10",
                           "1e3",
                           "unlimite",
                           "unlimitedx",
                           "Partition_Limit",
                           "\xff"}) {
    const Result<uint32_t> minutes = parse_time_limit_min(text);
    ASSERT_FALSE(minutes.ok()) << text;
    EXPECT_NE(minutes.error().message.find("'" + std::string(text) + "'"), std::string::npos);
  }
}

// sbatch silently wraps some of these around.
TEST(ParseTimeLimit, RefusesWhatSlurmCannotHold) {
  for (const char* text : {"4294967293", "4294967295", "99999999999", "99999999999999999999999",
                           "2982616-05:00", "18446744073709551615-0"}) {
    EXPECT_FALSE(parse_time_limit_min(text).ok()) << text;
  }
}

TEST(ParseTimeLimit, ReadsEveryLimitItWrites) {
  std::vector<uint32_t> minutes = {kUnlimitedMin, 4294967292U};
  for (uint32_t m = 0; m < 5000; ++m) minutes.push_back(m);
  for (uint32_t m = 5000; m < 100'000'000; m = m * 3 / 2 + 1) minutes.push_back(m);
  for (const uint32_t m : minutes) {
    const std::string text = format_time_limit(m);
    const Result<uint32_t> back = parse_time_limit_min(text);
    ASSERT_TRUE(back.ok()) << text;
    EXPECT_EQ(back.value(), m) << text;
  }
}

TEST(FormatTimeLimit, WritesDaysOnlyWhenThereAreAny) {
  EXPECT_EQ(format_time_limit(0), "00:00:00");
  EXPECT_EQ(format_time_limit(1), "00:01:00");
  EXPECT_EQ(format_time_limit(1439), "23:59:00");
  EXPECT_EQ(format_time_limit(1440), "1-00:00:00");
  EXPECT_EQ(format_time_limit(14399), "9-23:59:00");
  EXPECT_EQ(format_time_limit(kUnlimitedMin), "UNLIMITED");
}

TEST(ParseDuration, TakesWhatSacctPrints) {
  const std::vector<std::pair<const char*, double>> cases = {
      {"00:00:00", 0},      {"00:00:01", 1},        {"01:02:03", 3723},
      {"30:00:00", 108000}, {"1-00:00:00", 86400},  {"12-23:59:59", 1123199},
      {"00:00", 0},         {"59:59", 3599},        {"100:00", 6000},
      {"00:00.250", 0.25},  {"01:02:03.5", 3723.5}, {"2-01:02:03.125", 176523.125},
      {"0-00:00:00", 0},    {"0:0:1", 1},
  };
  for (const auto& [text, seconds] : cases) {
    const Result<double> parsed = parse_duration_s(text);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_DOUBLE_EQ(parsed.value(), seconds) << text;
  }
}

TEST(ParseDuration, RefusesTheRest) {
  for (const char* text : {"",
                           "5",
                           "-",
                           "1-",
                           "1-2",
                           "1-2:3",
                           "1-24:00:00",
                           "00:60:00",
                           "00:00:60",
                           "00:60",
                           "::",
                           ":5",
                           "5:",
                           "1:2:3:4",
                           "-1:00:00",
                           "a:b",
                           "00:00:.5",
                           "00:00:1e1",
                           "00:00:nan",
                           "00:1.5:00",
                           "1.5-00:00:00",
                           "00:00:00 ",
                           "UNLIMITED",
                           "INVALID",
                           "99999999999999999999:00:00"}) {
    EXPECT_FALSE(parse_duration_s(text).ok()) << text;
  }
}

TEST(ParseMemory, RoundsUpToMiB) {
  const std::vector<std::pair<const char*, uint64_t>> cases = {
      {"0", 0},           {"500", 500},      {"500M", 500},
      {"4G", 4096},       {"4g", 4096},      {"4GB", 4096},
      {"4Gb", 4096},      {"1.5T", 1572864}, {"1024K", 1},
      {"1025K", 2},       {"1k", 1},         {"1500KB", 2},
      {"1P", 1073741824}, {"0.5", 1},        {".5G", 512},
      {"2.", 2},          {"0K", 0},         {"9200000000000000000", 9200000000000000000U},
  };
  for (const auto& [text, mib] : cases) {
    const Result<uint64_t> parsed = parse_memory_mib(text);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(parsed.value(), mib) << text;
  }
}

TEST(ParseMemory, RefusesTheRest) {
  for (const char* text : {"",
                           "G",
                           "B",
                           "GB",
                           "4B",
                           "4E",
                           "4GG",
                           "4 G",
                           " 4G",
                           "-1",
                           "+1",
                           "1e3",
                           "nan",
                           "inf",
                           "0x10",
                           "1.2.3",
                           ".",
                           "4GiB",
                           "9300000000000000000",
                           "9999999999P",
                           "4Gn"}) {
    EXPECT_FALSE(parse_memory_mib(text).ok()) << text;
  }
}

TEST(ParseCount, TakesFactorsOf1024) {
  const std::vector<std::pair<const char*, double>> cases = {
      {"0", 0}, {"12", 12}, {"1.5K", 1536}, {"2M", 2097152}, {"1G", 1073741824}, {"1T", 0x1p40}};
  for (const auto& [text, count] : cases) {
    const Result<double> parsed = parse_count(text);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_DOUBLE_EQ(parsed.value(), count) << text;
  }
  for (const char* text : {"", "K", "-1", "1KB", "nan", "inf", "1e9", "a", "1 "}) {
    EXPECT_FALSE(parse_count(text).ok()) << text;
  }
}

// Local time is the process's own: a zone with daylight saving shows that it is looked at.
class ParseTimestamp : public testing::Test {
 protected:
  void SetUp() override { setenv("TZ", "Europe/Berlin", 1), tzset(); }
  void TearDown() override { unsetenv("TZ"), tzset(); }
};

TEST_F(ParseTimestamp, TakesLocalTime) {
  const std::vector<std::pair<const char*, int64_t>> cases = {
      {"1970-01-01T01:00:00", 0},          {"1970-01-01 00:59:59", -1},
      {"2021-05-01T00:06:13", 1619820373}, {"2021-01-01 00:00:00", 1609455600},
      {"2020-02-29T12:00:00", 1582974000}, {"2038-01-19T04:14:08", 2147483648},
      {"2026-06-30T23:59:60", 1782856800},
  };
  for (const auto& [text, seconds] : cases) {
    const Result<int64_t> parsed = parse_timestamp(text);
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(parsed.value(), seconds) << text;
  }
}

TEST_F(ParseTimestamp, TakesSecondsSinceTheEpoch) {
  EXPECT_EQ(parse_timestamp("0").value(), 0);
  EXPECT_EQ(parse_timestamp("1619820373").value(), 1619820373);
  EXPECT_EQ(parse_timestamp("9223372036854775807").value(), INT64_MAX);
  EXPECT_FALSE(parse_timestamp("9223372036854775808").ok());
}

TEST_F(ParseTimestamp, RefusesTheRest) {
  for (const char* text : {"",
                           "Unknown",
                           "None",
                           "N/A",
                           "-5",
                           "1.5",
                           "2021-05-01",
                           "2021-05-01T00:06",
                           "2021-5-1T0:6:13",
                           "2021-13-01T00:00:00",
                           "2021-00-01T00:00:00",
                           "2021-01-00T00:00:00",
                           "2021-01-32T00:00:00",
                           "2021-02-29T00:00:00",
                           "2021-02-30T00:00:00",
                           "2021-01-01T24:00:00",
                           "2021-01-01T00:60:00",
                           "2021-01-01T00:00:61",
                           "2021-01-01x00:00:00",
                           "2021/01/01 00:00:00",
                           "2021-01-01T00:00:0a",
                           "2021-01-01T00:00:00Z",
                           " 2021-01-01T00:00:00"}) {
    EXPECT_FALSE(parse_timestamp(text).ok()) << text;
  }
}

}  // namespace
}  // namespace auspex
