// SPDX-License-Identifier: Apache-2.0
#include "shared/history/history.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <map>
#include <new>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "shared/history/timeline.h"
#include "tests/fixtures/past_jobs.h"

namespace {
// What operator new has given out, malloc's own word before each block included.
size_t g_live_bytes = 0, g_peak_bytes = 0;
}  // namespace

void* operator new(size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  g_live_bytes += malloc_usable_size(memory) + sizeof(size_t);
  g_peak_bytes = std::max(g_peak_bytes, g_live_bytes);
  return memory;
}
void operator delete(void* memory) noexcept {
  if (memory != nullptr) g_live_bytes -= malloc_usable_size(memory) + sizeof(size_t);
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept {
  operator delete(memory);
}

namespace auspex {
namespace {

using fixtures::is_finite;
using fixtures::job_of;
using fixtures::kForever;
using fixtures::run;
using fixtures::same_bits;
using fixtures::synthetic_jobs;
using fixtures::view_of;

// Where the numbers of a view begin.
constexpr size_t kActivity = kSummarisedKeys * kNumbersPerKey;
constexpr size_t kUserRuntimes = kActivity + kActivityNumbers;
constexpr size_t kCandidateNumbers = kUserRuntimes + 3;
constexpr size_t kRequestNumbers = kCandidateNumbers + 3 * kCandidates;
constexpr size_t kSignatureItems = 16, kPatternItems = kPastItems - 2;

float candidate(const HistoryView& view, Candidate which) {
  return std::exp(view.log_s.at(kPastItems + static_cast<size_t>(which)));
}

float amount(double count) {
  return static_cast<float>(std::log1p(count) / 5);
}
float age(double seconds) {
  return static_cast<float>(std::log1p(seconds) / 10);
}
float scaled(double seconds) {
  return static_cast<float>((std::log(seconds) - 8) / 3);
}

// What job `at` of a file is shown.
HistoryView played_view(const std::vector<HistoryJob>& jobs, size_t at) {
  JobHistory history;
  Timeline timeline(history);
  for (size_t i = 0; i < at; ++i) {
    timeline.advance(jobs[i].request.submit_s);
    timeline.submit(jobs[i]);
  }
  timeline.advance(jobs[at].request.submit_s);
  return view_of(history, jobs[at], jobs[at].request.submit_s);
}

// The property without which every figure of an evaluation is worthless.
TEST(JobHistory, AViewKnowsNothingOfWhatHasNotHappened) {
  const std::vector<HistoryJob> jobs = synthetic_jobs(3000, 7);
  std::mt19937 engine(11);
  const auto random = [&engine] { return static_cast<uint32_t>(engine()); };
  size_t still_going = 0, ended_now = 0, forgot = 0;
  for (size_t at = 100; at < jobs.size(); at += 97) {
    const int64_t now_s = jobs[at].request.submit_s;
    const HistoryView view = played_view(jobs, at);
    ASSERT_TRUE(is_finite(view));

    // The views of a whole file are taken in one go: later jobs must not reach back.
    auto changed = jobs;
    std::shuffle(changed.begin() + static_cast<ptrdiff_t>(at) + 1, changed.end(), engine);
    EXPECT_TRUE(same_bits(view, played_view(changed, at))) << at;

    changed = jobs;
    for (size_t i = 0; i < at; ++i) {
      HistoryJob& job = changed[i];
      if (job.end_s < now_s) continue;
      ++still_going;
      ended_now += job.end_s == now_s ? 1 : 0;
      if (job.start_s >= now_s) job.start_s = random() % 2 == 0 ? 0 : now_s + random() % 500;
      job.end_s = now_s + random() % 5000;
      job.runtime_s = random() % 4 == 0 ? 0 : 1 + random() % 9999;
      job.ending = static_cast<Ending>(random() % 3);
    }
    EXPECT_TRUE(same_bits(view, played_view(changed, at))) << at;

    // But it knows of what has: or the above would hold for an empty view.
    const auto user_of = [&jobs](size_t i) { return jobs[i].request.features.category[0]; };
    for (size_t i = at; i-- > 0;) {
      const bool ended = jobs[i].end_s < now_s && jobs[i].runtime_s > 0;
      if (!ended || user_of(i) != user_of(at)) continue;
      changed = jobs;
      changed.erase(changed.begin() + static_cast<ptrdiff_t>(i));
      EXPECT_FALSE(same_bits(view, played_view(changed, at - 1))) << at << " without " << i;
      ++forgot;
      break;
    }
  }
  EXPECT_GT(still_going, 300U);
  EXPECT_GT(ended_now, 0U);
  EXPECT_GT(forgot, 15U);
}

TEST(JobHistory, CandidatesAreFiguresOfTheKeptRuntimes) {
  JobHistory history;
  double share = 0;
  int64_t now_s = 1000;
  for (const double runtime_s : {100, 900, 200, 300}) {
    run(history, job_of("ann", "a", now_s, now_s, runtime_s));
    share += (share == 0 ? 1 : 0.3) * (std::log(runtime_s / 3600) - share);
    now_s += 1000;
  }
  run(history, job_of("ben", "a", now_s, now_s, 1000));
  run(history, job_of("ann", "b", now_s, now_s, 60, 7200));
  share += 0.3 * (std::log(60 / 7200.0) - share);
  const HistoryView view = view_of(history, job_of("ann", "a", now_s, 0, 0), 9000);
  const std::map<Candidate, double> expected = {
      {Candidate::kSignatureLast, 300},
      {Candidate::kSignatureMean, std::pow(100 * 900.0 * 200 * 300, 0.25)},  // of logs
      {Candidate::kSignatureMedian, std::sqrt(200 * 300)},
      {Candidate::kSignatureMax, 900},
      {Candidate::kSignatureMin, 100},
      {Candidate::kUserLast, 60},
      {Candidate::kUserMedian, 200},
      {Candidate::kUserLastTwo, 180},
      {Candidate::kLimit, 3600},
      {Candidate::kUserLimitLast, 300},
      {Candidate::kUserCpusLast, 60},
      {Candidate::kUserShare, 3600 * std::exp(share)},
      {Candidate::kRequestMedian, 300}};  // the last three of anybody: 200, 300 and ben's 1000
  ASSERT_EQ(expected.size(), kCandidates);
  for (const auto& [which, seconds] : expected) {
    EXPECT_NEAR(candidate(view, which) / seconds, 1, 1e-4) << static_cast<int>(which);
  }
  const HistoryView hasty = view_of(history, job_of("ann", "b", now_s, 0, 0, 120), 9000);
  EXPECT_NEAR(candidate(hasty, Candidate::kUserMedian), 120, 0.01)
      << "never above the limit asked for";
}

TEST(JobHistory, CandidatesAreJudgedByTheJobsThatTheyWereSaidFor) {
  JobHistory history;
  run(history, job_of("ann", "a", 1000, 1000, 100));
  EXPECT_EQ(view_of(history, job_of("ann", "a", 2000, 0, 0), 2000).item[kPastItems][3], 0);
  run(history, job_of("ann", "a", 2000, 2000, 200));
  const HistoryView view = view_of(history, job_of("ann", "a", 3000, 0, 0), 3000);
  EXPECT_NEAR(view.item[kPastItems][2], 0.1 * 100 / 200, 1e-6);
  EXPECT_NEAR(view.item[kPastItems][3], 0.1, 1e-6);
  EXPECT_EQ(view.number[kCandidateNumbers + 1], view.item[kPastItems][2]);
}

TEST(JobHistory, PastItemsAreNewestFirstWithWhatIsKnownOfEach) {
  JobHistory history;
  run(history, job_of("ann", "a", 1000, 1500, 100));
  HistoryJob at_limit = job_of("ann", "b", 2000, 2500, 1800, 1800);
  at_limit.ending = Ending::kAtLimit;
  run(history, at_limit);
  const HistoryView view = view_of(history, job_of("ann", "a", 5000, 0, 0), 5000);
  EXPECT_NEAR(std::exp(view.log_s[0]), 1800, 0.1);
  EXPECT_NEAR(std::exp(view.log_s[1]), 100, 0.1);
  EXPECT_TRUE(std::isnan(view.log_s[2]));
  EXPECT_NEAR(std::exp(view.log_s[kSignatureItems]), 100, 0.1);
  EXPECT_TRUE(std::isnan(view.log_s[kSignatureItems + 1]));
  EXPECT_NEAR(view.item[0][2], age(5000 - 4300), 1e-6);
  EXPECT_NEAR(view.item[0][13], age(5000 - 2000), 1e-6);
  EXPECT_NEAR(view.item[0][3], std::log(1800 / 3600.0) / 3, 1e-6);
  EXPECT_NEAR(view.item[0][12], 0, 1e-6) << "all of its limit";
  EXPECT_EQ(view.item[0][6], 1) << "at its limit";
  EXPECT_EQ(view.item[1][6], 0);
  EXPECT_EQ(view.item[0][8], 0) << "another request";
  EXPECT_EQ(view.item[1][8], 1);
  // The summary of the user: count, last, most, least, at the limit, age.
  EXPECT_NEAR(view.number[0], amount(2), 1e-6);
  EXPECT_NEAR(view.number[4], scaled(1800), 1e-5);
  EXPECT_NEAR(view.number[5], scaled(1800), 1e-5);
  EXPECT_NEAR(view.number[6], scaled(100), 1e-5);
  EXPECT_NEAR(view.number[7], 0.5, 1e-6);
  EXPECT_NEAR(view.number[8], age(700), 1e-6);
  EXPECT_NEAR(view.number[kUserRuntimes + 1], scaled(100), 1e-5);
}

TEST(JobHistory, APatternIsTheSignatureAfterTheOneBeforeIt) {
  JobHistory history;
  const std::vector<std::pair<std::string, double>> submissions = {
      {"b", 50}, {"a", 100}, {"a", 200}, {"b", 50}};
  for (size_t i = 0; i < submissions.size(); ++i) {
    const auto second = static_cast<int64_t>(1000 * (i + 1));
    run(history, job_of("ann", submissions[i].first, second, second, submissions[i].second));
  }
  const HistoryView view = view_of(history, job_of("ann", "a", 9000, 0, 0), 9000);
  EXPECT_NEAR(std::exp(view.log_s[kPatternItems]), 100, 0.1) << "the last a after a b";
  EXPECT_NEAR(candidate(view, Candidate::kSignatureLast), 200, 0.1);
}

TEST(JobHistory, CountsWhatIsQueuedAndRunning) {
  JobHistory history;
  const auto activity = [&history](size_t number) {
    return view_of(history, job_of("ann", "a", 5000, 0, 0), 5000).number[kActivity + number];
  };
  for (int64_t second = 1000; second < 1004; ++second) {
    history.submitted(job_of("ann", "a", second, 0, 0).request);
  }
  EXPECT_NEAR(activity(9), amount(4), 1e-6) << "four in a row";
  EXPECT_EQ(activity(8), 0) << "asked at its submission";
  history.submitted(job_of("ann", "b", 2000, 0, 0).request);
  EXPECT_NEAR(activity(9), amount(1), 1e-6);
  history.started(job_of("ann", "a", 1000, 0, 0).request, 3000);
  history.started(job_of("ann", "a", 1001, 0, 0).request, 3500);
  for (const size_t who : {size_t{0}, size_t{4}}) {  // the user, the signature
    EXPECT_NEAR(activity(who), amount(who == 0 ? 3 : 2), 1e-6) << "queued";
    EXPECT_NEAR(activity(who + 1), amount(2), 1e-6) << "running";
    EXPECT_NEAR(activity(who + 2), age(2000), 1e-6) << "the longest of them";
    EXPECT_NEAR(activity(who + 3), age(5000 - (who == 0 ? 2000 : 1003)), 1e-6) << "submitted";
  }
  const HistoryView running = view_of(history, job_of("ann", "a", 5000, 0, 0), 5000);
  EXPECT_NEAR(running.number[kRequestNumbers + 3], std::log(2001 / 3600.0) / 3, 1e-6);
  EXPECT_EQ(running.number[0], 0) << "nothing has ended";
  EXPECT_TRUE(std::isnan(running.log_s[0]));

  history.ended(job_of("ann", "a", 1000, 0, 0).request, 3000, 4000, 1000, Ending::kDone);
  EXPECT_NEAR(activity(1), amount(1), 1e-6);
  EXPECT_NEAR(activity(2), age(1500), 1e-6);
}

TEST(JobHistory, AJobThatIsCancelledInTheQueueOnlyLeavesIt) {
  for (const int64_t start_s : {int64_t{0}, int64_t{1500}, int64_t{1700}}) {
    JobHistory history;
    Timeline timeline(history);
    HistoryJob job = job_of("ann", "a", 1000, start_s, 0);
    job.end_s = 1500;  // accounting may write the end as the start, or a start that never came
    timeline.submit(job);
    timeline.advance(1600);
    const HistoryView view = view_of(history, job, 1600);
    for (const size_t number : {0, 1, 2, 4, 5, 6}) {
      EXPECT_EQ(view.number[kActivity + number], 0) << number << ", start " << start_s;
    }
    EXPECT_EQ(history.jobs(), 0U);
    EXPECT_EQ(history.in_flight(), 0U);
    EXPECT_TRUE(std::isnan(view.log_s[0]));
  }
}

TEST(Running, NeverForgetsTheLongestRunningJob) {
  std::mt19937 random(3);
  Running running;
  std::multiset<int64_t> starts;
  for (int64_t second = 1000; second < 6000; ++second) {
    for (size_t burst = random() % 3; burst > 0; --burst) {
      running.start(second);
      starts.insert(second);
    }
    // More and more, then fewer and fewer; at random, then the oldest first.
    for (size_t ends = random() % (second < 3000 ? 3 : 5); ends > 0 && !starts.empty(); --ends) {
      const size_t skip = second < 2000 ? random() % starts.size() : 0;
      const auto ended = std::next(starts.begin(), static_cast<ptrdiff_t>(skip));
      running.end(*ended);
      starts.erase(ended);
    }
    ASSERT_EQ(running.running, starts.size());
    ASSERT_EQ(running.known > 0, !starts.empty());
    if (starts.empty()) continue;
    ASSERT_LE(running.starts_s[0], *starts.begin());
    if (std::set<int64_t>(starts.begin(), starts.end()).size() == 1 && running.known == 1) continue;
    ASSERT_TRUE(std::is_sorted(running.starts_s.begin(), running.starts_s.begin() + running.known));
  }
}

TEST(JobHistory, NeedsNeitherLimitNorOwnerNorAGoodClock) {
  JobHistory history;
  run(history, job_of("ann", "a", 1000, 1000, 500'000, kForever));
  HistoryView view = view_of(history, job_of("ann", "a", 600'000, 0, 0, kForever), 600'000);
  EXPECT_TRUE(is_finite(view));
  EXPECT_EQ(view.number[kRequestNumbers + 1], 0) << "no limit";
  EXPECT_NEAR(candidate(view, Candidate::kSignatureLast) / 500'000, 1, 1e-4);

  run(history, job_of("", "a", 1000, 1000, 70));
  view = view_of(history, job_of("", "a", 2000, 0, 0), 2000);
  EXPECT_TRUE(is_finite(view));
  EXPECT_TRUE(std::isnan(view.log_s[0]));
  EXPECT_EQ(view.number[kActivity], 0);
  EXPECT_NEAR(candidate(view, Candidate::kRequestMedian), 70, 0.01);

  HistoryJob early = job_of("ben", "a", 5000, 4000, 100);  // starts and ends before it is submitted
  run(history, early);
  for (const int64_t now_s : {int64_t{-1}, int64_t{0}, int64_t{4500}, int64_t{1} << 40}) {
    EXPECT_TRUE(is_finite(view_of(history, early, now_s))) << now_s;
  }
  for (const double runtime_s : {kForever, -kForever, std::nan(""), -1.0}) {
    history.submitted(early.request);
    history.ended(early.request, 0, 6000, runtime_s, Ending::kDone);
    EXPECT_TRUE(is_finite(view_of(history, early, 7000))) << runtime_s;
  }
}

TEST(JobHistory, TheKeyThatWasTouchedLongestAgoMakesRoom) {
  JobHistory history({.keys = 3, .in_flight = 10});
  for (const std::string user : {"1", "2", "3"}) run(history, job_of(user, "a", 1000, 1000, 100));
  history.submitted(job_of("1", "a", 2000, 0, 0).request);
  run(history, job_of("4", "a", 3000, 3000, 100));
  for (const std::string user : {"1", "2", "3", "4"}) {
    const HistoryView view = view_of(history, job_of(user, "a", 4000, 0, 0), 4000);
    EXPECT_EQ(std::isnan(view.log_s[0]), user == "2") << user;
    EXPECT_EQ(view.number[kActivity + 3] == 0, user == "2") << user;
  }
  EXPECT_EQ(history.keys(HistoryKey::kUser), 3U);
  const HistoryView heir = view_of(history, job_of("4", "a", 4000, 0, 0), 4000);
  EXPECT_NEAR(heir.number[0], amount(1), 1e-6) << "nothing of whose place it took";
}

TEST(JobHistory, TakesNoMoreMemoryThanItSays) {
  constexpr size_t kSlack = 4096;  // nine tables without keys
  for (const uint32_t keys : {1U, 700U, 1025U}) {
    const HistoryCapacity capacity = {.keys = keys, .in_flight = 500};
    const size_t before = g_live_bytes;
    g_peak_bytes = before;
    JobHistory history(capacity);
    for (int64_t i = 1; i <= 4000; ++i) {
      const std::string text = std::to_string(i);
      HistoryJob job = job_of(text, "a", i, i, 100, static_cast<double>(60 * i));
      job.request.features.category[static_cast<size_t>(Category::kGroup)] = i;
      job.request.features.category[static_cast<size_t>(Category::kQos)] = i;
      history.submitted(job.request, CalibratedLogs{4, 5, 6});
      history.ended(job.request, 0, job.end_s, 100, Ending::kDone);
      job.request.submit_s += 10'000;
      run(history, job);
      job.request.submit_s += 10'000;
      history.submitted(job.request);
    }
    EXPECT_EQ(history.in_flight(), 500U);
    EXPECT_EQ(history.keys(HistoryKey::kPattern), keys);
    const size_t most = JobHistory::bytes_at_most(capacity);
    EXPECT_LE(g_peak_bytes - before, most + kSlack) << keys;
    EXPECT_GE(g_live_bytes - before, most / 2) << keys << ": a bound that says something";
  }
}

TEST(JobHistory, KeepsNothingOfJobsThatCameAndWent) {
  JobHistory history;
  Timeline timeline(history);
  size_t after_a_thousand = 0;
  for (int64_t i = 1; i <= 20'000; ++i) {
    const HistoryJob job = job_of("ann", "a", 1000 * i, 1000 * i, 100);
    timeline.advance(job.request.submit_s);
    timeline.submit(job);
    if (i == 1000) after_a_thousand = g_live_bytes;
  }
  EXPECT_EQ(g_live_bytes, after_a_thousand);
  EXPECT_EQ(history.in_flight(), 1U);
}

TEST(JobHistory, OfTooManyInFlightTheOldestIsNotJudged) {
  JobHistory history({.keys = 100, .in_flight = 2});
  run(history, job_of("ann", "a", 1000, 1000, 100));
  for (const int64_t second : {2000, 2001, 2002}) {
    history.submitted(job_of("ann", "a", second, 0, 0).request);
  }
  EXPECT_EQ(history.in_flight(), 2U);
  const auto judged = [&history] {
    return view_of(history, job_of("ann", "a", 4000, 0, 0), 4000).item[kPastItems][3];
  };
  history.ended(job_of("ann", "a", 2000, 0, 0).request, 0, 3000, 100, Ending::kDone);
  EXPECT_EQ(judged(), 0);
  history.ended(job_of("ann", "a", 2001, 0, 0).request, 0, 3000, 100, Ending::kDone);
  EXPECT_NEAR(judged(), 0.1, 1e-6);
  EXPECT_EQ(history.in_flight(), 1U);
}

}  // namespace
}  // namespace auspex
