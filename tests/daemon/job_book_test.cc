// SPDX-License-Identifier: Apache-2.0
#include "daemon/job_book.h"

#include <gtest/gtest.h>

namespace auspex {
namespace {

Submission asked(const std::string& name, int64_t submit_s) {
  Submission s;
  s.user = "1000";
  s.name = name;
  s.work_dir = "/home/a";
  s.submit_time_s = submit_s;
  s.time_limit_min = 60;
  return s;
}

// What the record of such a job shows: the same with defaults filled in.
JobEvent seen(EventKind kind, uint32_t id, const std::string& name, int64_t submit_s) {
  JobEvent event{.kind = kind, .submission = asked(name, submit_s)};
  event.submission.partition = "cpu";
  event.submission.account = "default";
  event.job_id = id;
  if (kind != EventKind::kSubmitted) event.start_s = submit_s + 10;
  if (kind == EventKind::kEnded) {
    event.end_s = submit_s + 100;
    event.runtime_s = 90;
  }
  return event;
}

class Book : public testing::Test {
 protected:
  HistoryRequest decide(const Submission& submission) {
    const HistoryRequest request = history_request_of(submission);
    book.decided(submission, {.request = request, .number = ++number});
    return request;
  }
  static auto categories(const HistoryRequest& request) { return request.features.category; }
  // What the history hears.
  std::optional<HistoryEvent> take(const JobEvent& event) { return book.take(event).news; }
  JobBook book;
  DecisionNumber number = 0;
};

TEST_F(Book, ADecisionCountsAsItsSubmission) {
  const HistoryRequest request = decide(asked("a", 5000));
  EXPECT_FALSE(take(seen(EventKind::kSubmitted, 1, "a", 5001)));
  const auto start = take(seen(EventKind::kStarted, 1, "a", 5001));
  ASSERT_TRUE(start);
  EXPECT_EQ(categories(start->request), categories(request)) << "as it was asked, not as it stands";
  EXPECT_EQ(start->request.submit_s, 5000) << "the second that the history knows it by";
  const auto end = take(seen(EventKind::kEnded, 1, "a", 5001));
  ASSERT_TRUE(end);
  EXPECT_EQ(categories(end->request), categories(request));
  EXPECT_EQ(end->start_s, 5011);
  EXPECT_EQ(end->runtime_s, 90);
  EXPECT_EQ(book.jobs(), 0U);
}

TEST_F(Book, EqualOnesAreToldApartByTheirOrder) {
  Submission longer = asked("a", 5000);
  longer.time_limit_min = 90;
  const HistoryRequest first = decide(asked("a", 5000)), second = decide(longer);
  take(seen(EventKind::kSubmitted, 1, "a", 5000));
  take(seen(EventKind::kSubmitted, 2, "a", 5000));
  EXPECT_EQ(take(seen(EventKind::kStarted, 1, "a", 5000))->request.limit_s, first.limit_s);
  EXPECT_EQ(take(seen(EventKind::kStarted, 2, "a", 5000))->request.limit_s, second.limit_s);
}

TEST_F(Book, NamesTheDecision) {
  decide(asked("a", 5000));
  decide(asked("b", 5000));
  EXPECT_EQ(book.take(seen(EventKind::kSubmitted, 1, "b", 5000)).decision, 2);
  EXPECT_EQ(book.take(seen(EventKind::kSubmitted, 1, "b", 5000)).decision, 2) << "told twice";
  EXPECT_EQ(book.take(seen(EventKind::kStarted, 1, "b", 5000)).decision, 2);
  EXPECT_EQ(book.take(seen(EventKind::kEnded, 1, "b", 5000)).decision, 2);
  EXPECT_EQ(book.take(seen(EventKind::kEnded, 2, "a", 5000)).decision, 1);
  EXPECT_EQ(book.take(seen(EventKind::kEnded, 3, "c", 5000)).decision, 0) << "nobody's";
}

TEST_F(Book, AJobThatNobodyDecidedIsNews) {
  decide(asked("a", 5000));
  EXPECT_TRUE(take(seen(EventKind::kSubmitted, 1, "other", 5000)));
  EXPECT_TRUE(take(seen(EventKind::kSubmitted, 2, "a", 5100))) << "another time";
  EXPECT_FALSE(take(seen(EventKind::kSubmitted, 2, "a", 5100))) << "told twice";
}

TEST_F(Book, AnEndWithoutASubmissionCounts) {
  const HistoryRequest request = decide(asked("a", 5000));
  const auto end = take(seen(EventKind::kEnded, 1, "a", 5000));
  ASSERT_TRUE(end);
  EXPECT_EQ(categories(end->request), categories(request));
  EXPECT_EQ(end->start_s, 0) << "no start was told";
}

TEST_F(Book, AfterARestartWhatWasKnownIsNotToldAgain) {
  book.begin(5050);
  EXPECT_FALSE(take(seen(EventKind::kSubmitted, 1, "a", 5000)));
  EXPECT_FALSE(take(seen(EventKind::kStarted, 1, "a", 5000)));
  const auto end = take(seen(EventKind::kEnded, 1, "a", 5000));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->start_s, 5010) << "as it was told before";
  EXPECT_FALSE(take(seen(EventKind::kEnded, 2, "b", 4900))) << "ended before";
  EXPECT_TRUE(take(seen(EventKind::kSubmitted, 3, "c", 5051)));
  EXPECT_TRUE(take(seen(EventKind::kEnded, 4, "d", 4960))) << "ended since, at 5060";
}

TEST_F(Book, TasksOfAnArrayAreItsSubmission) {
  Submission array = asked("a", 5000);
  array.array = "1-3";
  const HistoryRequest request = decide(array);
  EXPECT_FALSE(take(seen(EventKind::kSubmitted, 10, "a", 5000)));
  JobEvent task = seen(EventKind::kSubmitted, 11, "a", 5000);
  task.array_id = 10;
  const auto split = take(task);
  ASSERT_TRUE(split) << "one more in flight";
  EXPECT_EQ(categories(split->request), categories(request));
  JobEvent quick = seen(EventKind::kEnded, 12, "a", 5000);
  quick.array_id = 10;
  EXPECT_EQ(categories(take(quick)->request), categories(request));
}

TEST_F(Book, ARefusedSubmissionIsNotTakenForTheNextOne) {
  Submission refused = asked("a", 5000);
  refused.time_limit_min = 90;
  book.decided(refused, {.request = history_request_of(refused), .number = 1, .asked_min = 90});
  const Submission second = asked("a", 5001);
  book.decided(second, {.request = history_request_of(second), .number = 2, .asked_min = 60});
  EXPECT_EQ(book.take(seen(EventKind::kSubmitted, 1, "a", 5001)).decision, 2);
}

TEST_F(Book, AnIdMayGoToAnotherJob) {
  decide(asked("a", 5000));
  take(seen(EventKind::kSubmitted, 1, "a", 5000));
  decide(asked("b", 9000));
  EXPECT_EQ(book.take(seen(EventKind::kSubmitted, 1, "b", 9000)).decision, 2);
}

TEST_F(Book, ForgetsTheOldestDecisionWhenFull) {
  decide(asked("a", 5000));
  for (size_t i = 0; i < JobBook::kMostWaiting; ++i) decide(asked("b", 5000));
  EXPECT_TRUE(take(seen(EventKind::kSubmitted, 1, "a", 5000)));
  EXPECT_FALSE(take(seen(EventKind::kSubmitted, 2, "b", 5000)));
}

}  // namespace
}  // namespace auspex
