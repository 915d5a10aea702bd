// SPDX-License-Identifier: Apache-2.0
#include "daemon/guard/follower.h"

#include <gtest/gtest.h>

namespace auspex {
namespace {

JobState job(uint32_t id, JobPhase phase) {
  JobState state;
  state.id = id;
  state.phase = phase;
  state.submit_s = 1000 + id;
  state.start_s = phase == JobPhase::kPending ? 0 : 2000;
  if (phase == JobPhase::kEnded) {
    state.end_s = 2600;
    state.runtime_s = 600;
    state.outcome = Outcome::kCompleted;
  }
  return state;
}

class Following : public testing::Test {
 protected:
  std::vector<JobEvent> sweep(const std::vector<JobState>& jobs) {
    for (const JobState& state : jobs) {
      follower.see(state, [&state] {
        Submission s;
        s.submit_time_s = state.submit_s;
        s.time_limit_min = 30;
        return s;
      });
    }
    return follower.end_sweep();
  }
  static std::vector<std::pair<EventKind, uint32_t>> kinds(const std::vector<JobEvent>& events) {
    std::vector<std::pair<EventKind, uint32_t>> out;
    for (const JobEvent& event : events) out.emplace_back(event.kind, event.job_id);
    return out;
  }
  using Kinds = std::vector<std::pair<EventKind, uint32_t>>;
  Follower follower;
};

TEST_F(Following, TellsEachChangeOnce) {
  EXPECT_EQ(kinds(sweep({job(7, JobPhase::kPending)})), (Kinds{{EventKind::kSubmitted, 7}}));
  EXPECT_EQ(kinds(sweep({job(7, JobPhase::kPending)})), Kinds{});
  EXPECT_EQ(kinds(sweep({job(7, JobPhase::kRunning)})), (Kinds{{EventKind::kStarted, 7}}));
  EXPECT_EQ(kinds(sweep({job(7, JobPhase::kSuspended)})), Kinds{});
  const auto end = sweep({job(7, JobPhase::kEnded)});
  ASSERT_EQ(kinds(end), (Kinds{{EventKind::kEnded, 7}}));
  EXPECT_EQ(end[0].start_s, 2000);
  EXPECT_EQ(end[0].end_s, 2600);
  EXPECT_EQ(end[0].runtime_s, 600);
  EXPECT_EQ(end[0].ending, Ending::kDone);
  EXPECT_EQ(kinds(sweep({job(7, JobPhase::kEnded)})), Kinds{});
}

TEST_F(Following, AJobThatCameAndWentBetweenSweepsEndsOnly) {
  EXPECT_EQ(kinds(sweep({job(7, JobPhase::kEnded)})), (Kinds{{EventKind::kEnded, 7}}));
}

TEST_F(Following, EventsComeInTheOrderOfTime) {
  EXPECT_EQ(kinds(sweep({job(9, JobPhase::kRunning), job(8, JobPhase::kEnded),
                         job(7, JobPhase::kPending)})),
            (Kinds{{EventKind::kSubmitted, 7},
                   {EventKind::kSubmitted, 9},
                   {EventKind::kStarted, 9},
                   {EventKind::kEnded, 8}}));
}

TEST_F(Following, ARequeuedJobIsTheSameJob) {
  sweep({job(7, JobPhase::kRunning)});
  EXPECT_EQ(kinds(sweep({job(7, JobPhase::kPending)})), Kinds{});
  EXPECT_EQ(kinds(sweep({job(7, JobPhase::kRunning)})), Kinds{});
  EXPECT_EQ(kinds(sweep({job(7, JobPhase::kEnded)})), (Kinds{{EventKind::kEnded, 7}}));
}

TEST_F(Following, AJobThatEndedAndWasRequeuedIsAnotherOne) {
  sweep({job(7, JobPhase::kEnded)});
  EXPECT_EQ(kinds(sweep({job(7, JobPhase::kPending)})), (Kinds{{EventKind::kSubmitted, 7}}));
  EXPECT_EQ(kinds(sweep({job(7, JobPhase::kRunning)})), (Kinds{{EventKind::kStarted, 7}}));
  EXPECT_EQ(kinds(sweep({job(7, JobPhase::kEnded)})), (Kinds{{EventKind::kEnded, 7}}));
}

TEST_F(Following, TheLimitIsTheOneAskedFor) {
  JobState state = job(7, JobPhase::kPending);
  EXPECT_EQ(sweep({state})[0].submission.time_limit_min, 30U);
  state.id = 8;
  state.audit = find_audit("auspex:1 asked=1440 applied=30 mode=guarded");
  EXPECT_EQ(sweep({state})[0].submission.time_limit_min, 1440U);
}

TEST_F(Following, ATaskNamesItsArray) {
  JobState state = job(7, JobPhase::kPending);
  state.array_id = 7;
  EXPECT_EQ(sweep({state})[0].array_id, 0U) << "the array itself";
  state.id = 8;
  EXPECT_EQ(sweep({state})[0].array_id, 7U);
}

TEST_F(Following, AfterALossAllIsToldAnew) {
  sweep({job(7, JobPhase::kRunning)});
  follower.forget_all();
  EXPECT_EQ(sweep({job(7, JobPhase::kRunning)}).size(), 2U);
}

}  // namespace
}  // namespace auspex
