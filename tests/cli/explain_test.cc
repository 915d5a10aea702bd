// SPDX-License-Identifier: Apache-2.0
// What `auspex explain` tells of a job: from the ledger, and from Slurm where that does not know
// it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "daemon/ledger/ledger_file.h"
#include "tests/cli/run_auspex.h"
#include "tests/fixtures/files.h"

namespace auspex::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr int64_t kSubmit_s = 1'800'000'000;
constexpr DecisionNumber kNumber = kSubmit_s * 1'000'000;

DecisionEntry decided_with(SliceEntry slice) {
  DecisionEntry e;
  e.number = kNumber;
  e.user = 1000;
  e.partition = "gpu";
  e.mode = "observe";
  e.why = "no-model";
  e.asked_min = e.applied_min = 60;
  e.slice = std::move(slice);
  return e;
}

JobEntry job(const std::string& admin_comment) {
  JobEntry e;
  e.decision = kNumber;
  e.job_id = 7;
  e.partition = "gpu";
  e.admin_comment = admin_comment;
  e.submit_s = kSubmit_s;
  return e;
}

constexpr char kAudit[] = "auspex-mig:1 asked=gres:gpu:1 applied=gres:gpu:2g.10gb:1 memory=4615";

// Of Slurm only what `scontrol` in the folder says; nothing at first.
class Explain : public testing::Test {
 protected:
  void SetUp() override {
    fixtures::write_file(folder_ / "auspex.yaml", "ledger: {path: " + (folder_ / "ledger") + "}\n");
    ::setenv("PATH", (folder_ / "").c_str(), 1);
    ::setenv("TZ", "UTC", 1);
  }
  void TearDown() override { ::setenv("PATH", path_.c_str(), 1); }

  void write(const SliceEntry& slice, const std::string& admin_comment) {
    auto file = LedgerFile::open(folder_ / "ledger");
    ASSERT_TRUE(file.ok()) << file.error().message;
    ASSERT_TRUE(file->write({decided_with(slice), job(admin_comment)}).ok());
  }
  std::string text() {
    const Ran ran = run_auspex({"explain", "--config", folder_ / "auspex.yaml", "7"});
    EXPECT_EQ(ran.code, 0) << ran.err;
    return ran.out;
  }
  json said() {
    const Ran ran = run_auspex({"explain", "--json", "--config", folder_ / "auspex.yaml", "7"});
    EXPECT_EQ(ran.code, 0) << ran.err;
    return json::parse(ran.out);
  }
  fixtures::TemporaryFolder folder_;
  std::string path_ = ::getenv("PATH");
};

TEST_F(Explain, TellsTheSliceThatAJobGot) {
  write({"applied", "small", "2g.10gb", "a100-40gb", 4614.6, 6190, .1}, kAudit);
  EXPECT_EQ(text(),
            "job        7 (user 1000, partition gpu)\n"
            "submitted  2027-01-15T08:00:00\n"
            "asked      01:00:00\n"
            "predicted  nothing\n"
            "decided    mode observe, by the default: there is no model\n"
            "applied    no change\n"
            "needs      4615 MiB, at most 6190; 10 % more is to stay free\n"
            "slice      small (2g.10gb) of a100-40gb: the smallest slice that fits\n");
  EXPECT_EQ(said()["slice"], (json{{"why", "applied"},
                                   {"type", "small"},
                                   {"profile", "2g.10gb"},
                                   {"card", "a100-40gb"},
                                   {"memory_mib", 4614.6},
                                   {"memory_upper_mib", 6190},
                                   {"headroom", .1}}));
}

TEST_F(Explain, TellsWhyAJobKeepsItsGpu) {
  write({"no-slice", "", "", "a100-40gb", 50'000, 61'000, .1}, "");
  EXPECT_THAT(text(), HasSubstr("needs      50000 MiB, at most 61000; 10 % more is to stay free\n"
                                "slice      none: no slice of the partition is large enough\n"));
  EXPECT_EQ(said()["slice"]["why"], "no-slice");
  EXPECT_EQ(said()["slice"]["profile"], nullptr);
}

TEST_F(Explain, TellsThatNothingIsKnownOfTheModel) {
  write({"not-read", "", "", "a100-40gb", {}, {}, {}}, "");
  EXPECT_THAT(text(), HasSubstr("slice      none: nothing is known of the model\n"));
  EXPECT_THAT(text(), Not(HasSubstr("needs")));
  EXPECT_EQ(said()["slice"]["memory_mib"], nullptr);
}

TEST_F(Explain, TellsThatAnAnswerWasNotTaken) {
  write({"applied", "2g.10gb", "2g.10gb", "a100-40gb", 4615, 6190, .1}, "");
  EXPECT_THAT(text(), HasSubstr("slice      2g.10gb of a100-40gb: not what the job got, as the "
                                "answer came too late or was refused\n"));
  EXPECT_EQ(said()["slice"]["type"], nullptr);
}

TEST_F(Explain, SaysNothingOfSlicesWhereNoModelIsNamed) {
  write({"no-model", "", "", "", {}, {}, {}}, "");
  EXPECT_THAT(text(), Not(HasSubstr("slice")));
  EXPECT_EQ(said()["slice"]["why"], "no-model");
}

TEST_F(Explain, TellsTheSliceFromTheJobsRecord) {
  fixtures::write_file(folder_ / "scontrol",
                       "#!/bin/sh\necho 'JobId=7 JobName=a UserId=ada(1000) JobState=PENDING "
                       "SubmitTime=2027-01-15T08:00:00 TimeLimit=01:00:00 Partition=gpu "
                       "AdminComment=" +
                           std::string(kAudit) + " StdErr=/dev/null'\n");
  ASSERT_EQ(::chmod((folder_ / "scontrol").c_str(), 0755), 0);
  EXPECT_THAT(text(), HasSubstr("needs      4615 MiB\n"
                                "slice      2g.10gb: the smallest slice that fits\n"));
  EXPECT_EQ(said()["source"], "slurm");
  EXPECT_EQ(said()["slice"]["type"], "2g.10gb");
}

}  // namespace
}  // namespace auspex::cli
