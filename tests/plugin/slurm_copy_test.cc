// SPDX-License-Identifier: Apache-2.0
#include "plugin/slurm_copy.h"

#include <gtest/gtest.h>

#include "ipc/codec.h"
#include "tests/fixtures/slurm_job.h"

namespace auspex::plugin {
namespace {

using fixtures::SlurmJob;

TEST(CopySubmission, AnUntouchedDescriptionAsksForNothing) {
  SlurmJob s;
  s.job.user_id = NO_VAL;
  const Submission out = copy_submission(s.job, 1234, 77);
  EXPECT_EQ(out.kind, SubmissionKind::kInteractive);
  EXPECT_EQ(out.user, "1234");
  EXPECT_EQ(out.submit_time_s, 77);
  for (const auto& text : {out.group, out.account, out.partition, out.qos, out.name, out.script,
                           out.submit_line, out.array, out.tres_per_job}) {
    EXPECT_EQ(text, "");
  }
  EXPECT_FALSE(out.time_limit_min || out.time_min_min || out.num_tasks || out.cpus_per_task ||
               out.min_nodes || out.memory_per_node_mib || out.memory_per_cpu_mib ||
               out.begin_time_s || out.deadline_s || out.priority);
  EXPECT_EQ(out.warn_time_s, 0U);
  EXPECT_FALSE(out.exclusive);
  EXPECT_FALSE(out.requeue);
}

TEST(CopySubmission, ALaterHetComponentIsABatchJob) {
  SlurmJob s;
  std::string variable = "HOME=/";
  std::vector<char*> environment = {variable.data()};
  s.job.environment = environment.data();
  s.job.env_size = 1;
  EXPECT_EQ(copy_submission(s.job, 0, 0).kind, SubmissionKind::kBatch);
}

// What a broken client could leave: every pointer null, every number zero.
TEST(CopySubmission, SurvivesAllZeroes) {
  const job_desc_msg_t job{};
  const Submission out = copy_submission(job, 0, 0);
  EXPECT_EQ(out.user, "0");
  EXPECT_EQ(out.time_limit_min, 0U);
  EXPECT_TRUE(out.exclusive);
}

TEST(CopySubmission, ReadsBothMeaningsOfMemory) {
  SlurmJob s;
  s.job.pn_min_memory = 4000;
  EXPECT_EQ(copy_submission(s.job, 0, 0).memory_per_node_mib, 4000U);
  s.job.pn_min_memory = MEM_PER_CPU | 500;
  const Submission per_cpu = copy_submission(s.job, 0, 0);
  EXPECT_EQ(per_cpu.memory_per_cpu_mib, 500U);
  EXPECT_FALSE(per_cpu.memory_per_node_mib);
}

TEST(CopySubmission, CutsWhatIsTooLong) {
  SlurmJob s;
  std::string long_text(5'000'000, 'x');
  s.job.script = s.job.name = s.job.submit_line = s.job.partition = long_text.data();
  const Submission out = copy_submission(s.job, 0, 0);
  EXPECT_EQ(out.script.size(), kMaxScriptBytes);
  EXPECT_EQ(out.name.size(), ipc::kMaxTextBytes);
  EXPECT_EQ(out.submit_line.size(), ipc::kMaxLineBytes);
  EXPECT_EQ(out.partition.size(), ipc::kMaxNameBytes);
  s.job.script = s.job.name = s.job.submit_line = s.job.partition = nullptr;
}

TEST(CopySubmission, TakesOnlyItsOwnVariables) {
  SlurmJob s;
  std::vector<std::string> texts = {"SECRET=1",  "AUSPEX=off",     "AUSPEXX=1", "AUSPEX",
                                    "AUSPEX_A=", "XAUSPEX_MODEL=", "",          "AUSPEX_MODEL=m"};
  std::vector<char*> environment;
  for (auto& text : texts) environment.push_back(text.data());
  environment.push_back(nullptr);
  s.job.environment = environment.data();
  s.job.env_size = static_cast<uint32_t>(environment.size());
  EXPECT_EQ(copy_submission(s.job, 0, 0).environment,
            (std::vector<std::string>{"AUSPEX=off", "AUSPEX_A=", "AUSPEX_MODEL=m"}));
  std::string own = "AUSPEX_X=1";
  std::vector<char*> many(100, own.data());
  s.job.environment = many.data();
  s.job.env_size = 100;
  EXPECT_EQ(copy_submission(s.job, 0, 0).environment.size(), ipc::kMaxVariables);
  s.job.env_size = NO_VAL;
  EXPECT_TRUE(copy_submission(s.job, 0, 0).environment.empty());
}

TEST(CopySubmission, BoundsTheArguments) {
  SlurmJob s;
  std::string word(1000, 'a');
  std::vector<char*> argv(50, word.data());
  argv[1] = nullptr;
  s.job.argv = argv.data();
  s.job.argc = 50;
  const Submission out = copy_submission(s.job, 0, 0);
  ASSERT_EQ(out.argv.size(), ipc::kMaxArguments);
  EXPECT_EQ(out.argv[0].size(), ipc::kMaxNameBytes);
  EXPECT_EQ(out.argv[1], "");
  s.job.argv = nullptr;
  EXPECT_TRUE(copy_submission(s.job, 0, 0).argv.empty());
}

TEST(CopySubmission, TheLargestCopyFitsTheWire) {
  SlurmJob s;
  std::string text(100'000, 'x');
  std::vector<char*> many(100, text.data());
  for (auto member : {&job_desc_msg_t::account,
                      &job_desc_msg_t::partition,
                      &job_desc_msg_t::qos,
                      &job_desc_msg_t::name,
                      &job_desc_msg_t::work_dir,
                      &job_desc_msg_t::submit_line,
                      &job_desc_msg_t::features,
                      &job_desc_msg_t::reservation,
                      &job_desc_msg_t::dependency,
                      &job_desc_msg_t::licenses,
                      &job_desc_msg_t::array_inx,
                      &job_desc_msg_t::wckey,
                      &job_desc_msg_t::comment,
                      &job_desc_msg_t::admin_comment,
                      &job_desc_msg_t::tres_per_job,
                      &job_desc_msg_t::tres_per_node,
                      &job_desc_msg_t::tres_per_socket,
                      &job_desc_msg_t::tres_per_task,
                      &job_desc_msg_t::cpus_per_tres,
                      &job_desc_msg_t::mem_per_tres,
                      &job_desc_msg_t::script}) {
    s.job.*member = text.data();
  }
  std::string own = "AUSPEX_" + text;
  std::vector<char*> environment(100, own.data());
  s.job.argv = many.data();
  s.job.argc = 100;
  s.job.environment = environment.data();
  s.job.env_size = 100;
  const auto bytes = ipc::encode(
      ipc::Message<ipc::Request>{1, ipc::DecideRequest{copy_submission(s.job, 0, 0), {}, 0}});
  EXPECT_TRUE(bytes.ok()) << bytes.error().message;
  slurm_init_job_desc_msg(&s.job);  // nothing of it is Slurm's to free
}

}  // namespace
}  // namespace auspex::plugin
