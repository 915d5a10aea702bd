// SPDX-License-Identifier: Apache-2.0
#include "shared/sbatch_time.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

namespace auspex {
namespace {

// 2026-11-21 08:38:13 in Berlin, a Saturday. The right sides are what sbatch 22.05.8 made of them
// at that time of day.
class PointInTime : public testing::Test {
 protected:
  void SetUp() override { setenv("TZ", "Europe/Berlin", 1), tzset(); }
  void TearDown() override { unsetenv("TZ"), tzset(); }
  static constexpr int64_t kNow = 1795246693;

  static std::string local(const char* text) {
    const Result<int64_t> seconds = parse_point_in_time(text, kNow);
    if (!seconds.ok()) return "error";
    const time_t time = static_cast<time_t>(*seconds);
    std::tm parts{};
    localtime_r(&time, &parts);
    char shown[32];
    return std::string(shown, strftime(shown, sizeof shown, "%Y-%m-%dT%H:%M:%S", &parts));
  }
};

TEST_F(PointInTime, TakesWhatSbatchTakes) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"now", "2026-11-21T08:38:13"},
      {"now+60", "2026-11-21T08:39:13"},
      {"now+1hour", "2026-11-21T09:38:13"},
      {"now +1hour", "2026-11-21T09:38:13"},
      {"now-1hour", "2026-11-21T07:38:13"},
      {"now+5minutes", "2026-11-21T08:43:13"},
      {"now+2days", "2026-11-23T08:38:13"},
      {"now+1 week", "2026-11-28T08:38:13"},
      {"16:00", "2026-11-21T16:00:00"},
      {"00:01", "2026-11-22T00:01:00"},
      {"16:00:07", "2026-11-21T16:00:07"},
      {"4:30pm", "2026-11-21T16:30:00"},
      {"4:30 PM", "2026-11-21T16:30:00"},
      {"4:30am", "2026-11-22T04:30:00"},
      {"noon", "2026-11-21T12:00:00"},
      {"NOON", "2026-11-21T12:00:00"},
      {"midnight", "2026-11-22T00:00:00"},
      {"fika", "2026-11-21T15:00:00"},
      {"teatime", "2026-11-21T16:00:00"},
      {"today", "2026-11-21T00:00:00"},
      {"tomorrow", "2026-11-22T00:00:00"},
      {"16:00 tomorrow", "2026-11-22T16:00:00"},
      {"tomorrow 16:00", "2026-11-22T16:00:00"},
      {"2030-01-20", "2030-01-20T00:00:00"},
      {"2030-01-20T12:34", "2030-01-20T12:34:00"},
      {"2030-01-20T12:34:56", "2030-01-20T12:34:56"},
      {"2010-01-20T12:34:00", "2010-01-20T12:34:00"},
      {"012030", "2030-01-20T00:00:00"},
      {"01/20/30", "2030-01-20T00:00:00"},
      {"1.20.30", "2030-01-20T00:00:00"},
      {"01/20/30-10:00", "2030-01-20T10:00:00"},
      {"01/20", "2027-01-20T00:00:00"},
      {"0120", "2027-01-20T00:00:00"},
      {"uts1900000000", "2030-03-17T18:46:40"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(local(text), expected) << text;
}

TEST_F(PointInTime, RefusesTheRest) {
  for (const char* text : {"",
                           " ",
                           "foo",
                           "1900000000",
                           "nowx",
                           "now+",
                           "now+x",
                           "now+1h",
                           "now+1min",
                           "now+1d",
                           "now+1fortnight",
                           "now*2",
                           "25:00",
                           "12:60",
                           "uts",
                           "utsx",
                           "uts-1",
                           "noon noon",
                           "16:00 17:00",
                           "today tomorrow",
                           "13/01/30",
                           "now+99999999999",
                           "\xff"}) {
    EXPECT_EQ(local(text), "error") << text;
  }
}

}  // namespace
}  // namespace auspex
