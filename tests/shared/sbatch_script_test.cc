// SPDX-License-Identifier: Apache-2.0
// apply_script of shared/sbatch_options.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "shared/sbatch_options.h"
#include "tests/fixtures/asked.h"

namespace auspex {
namespace {

using fixtures::asked;
using testing::ElementsAre;

using Words = std::vector<std::string>;

Submission script_submission(const std::string& text, const Words& words = {"job.sh"}) {
  Submission submission;
  EXPECT_TRUE(apply_command_line(words, submission).ok());
  const Status status = apply_script(text, "job.sh", words, submission);
  EXPECT_TRUE(status.ok()) << status.error().message;
  return submission;
}

std::string script_message(const std::string& text) {
  Submission submission;
  const Status status = apply_script(text, "job.sh", {"job.sh"}, submission);
  return status.ok() ? "" : status.error().message;
}

TEST(ApplyScript, ReadsDirectivesUpToTheFirstCommand) {
  const Submission s = script_submission(
      "#!/bin/bash\n"
      "# a comment\n"
      "#SBATCH\n"
      "#SBATCH -t 5 # until lunch\n"
      "##SBATCH -t 6\n"
      "  #SBATCH -t 7\n"
      "\n"
      "#SBATCH\t-q tabbed\n"
      "#SBATCH -p 'x y'\"z\" #rest\n"
      "#SBATCH -J name -n2 --mem=1G\n"
      "  echo\n"
      "#SBATCH -A late\n");
  EXPECT_EQ(asked(s),
            "partition=x yz qos=tabbed time_limit=5 num_tasks=2 min_cpus=2 memory_per_node=1024");
  EXPECT_EQ(s.name, "name");
  EXPECT_THAT(s.script, testing::EndsWith("-A late\n"));
  EXPECT_EQ(s.submit_line, "sbatch job.sh");
}

TEST(ApplyScript, CommandLineWins) {
  const std::string script =
      "#!/bin/sh\n#SBATCH -t 5 -p script -n 6 -J s --mem=1G --hold --gres=gpu:1\n:\n";
  const Words words = {"-t", "7",      "-n2", "--ntasks-per-node=2", "--mem=2G", "-J",
                       "c",  "job.sh", "x"};
  const Submission s = script_submission(script, words);
  EXPECT_EQ(asked(s),
            "partition=script time_limit=7 num_tasks=2 ntasks_per_node=2 min_cpus=2 "
            "memory_per_node=2048 tres_per_node=gres/gpu:1 priority=0");
  EXPECT_EQ(s.name, "c");
  EXPECT_THAT(s.argv, ElementsAre("job.sh", "x"));
}

TEST(ApplyScript, CountsAreAddedUpFromBoth) {
  const Submission s =
      script_submission("#!/bin/sh\n#SBATCH -N 2\n", {"--ntasks-per-node=3", "job.sh"});
  EXPECT_EQ(asked(s), "num_tasks=6 ntasks_per_node=3 min_cpus=6 min_nodes=2 max_nodes=2");
}

TEST(ApplyScript, ScriptNameIsTheDefaultName) {
  EXPECT_EQ(script_submission("#!/bin/sh\n", {"a/b/job.sh"}).name, "job.sh");
  EXPECT_EQ(script_submission("#!/bin/sh\n#SBATCH -J x\n", {"a/b/job.sh"}).name, "x");
}

// Each was given to sbatch 22.05.8.
TEST(ApplyScript, QuotesAsSbatchDoes) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {R"(--comment="a b"c)", "a bc"}, {R"(--comment=a#b)", "a"},
      {R"(--comment=a #b)", "a"},      {R"(--comment=#b)", ""},
      {R"(--comment "#b")", "#b"},     {R"(--comment 'a"b')", "a\"b"},
      {R"(--comment "a\"b")", "a\"b"}, {R"(--comment="a\nb")", "anb"},
      {R"(--comment='a\b')", "ab"},    {R"(--comment=a\b)", "ab"},
      {R"(--comment="a\ b")", "a b"},  {R"(--comment=a\"b)", "a\"b"},
      {R"(--comment="")", ""},
  };
  for (const auto& [line, comment] : cases) {
    EXPECT_EQ(script_submission("#!/bin/sh\n#SBATCH " + std::string(line) + "\n").comment, comment)
        << line;
  }
}

TEST(ApplyScript, ErrorsNameFileAndLine) {
  const std::string head = "#!/bin/sh\n#\n#SBATCH ";
  EXPECT_EQ(script_message(head + "--bogus\n"), "job.sh:3: --bogus: is no option of sbatch");
  EXPECT_EQ(script_message(head + "-t 5;\n"),
            "job.sh:3: --time: '5;' is not a time limit (minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM, "
            "D-HH:MM:SS, UNLIMITED)");
  EXPECT_EQ(script_message(head + "-t 5 foo\n"), "job.sh:3: 'foo' is no option");
  EXPECT_EQ(script_message(head + "--comment a\\ b\n"), "job.sh:3: 'b' is no option");
  EXPECT_EQ(script_message(head + "-J don't\n"), "job.sh:3: unmatched '");
  EXPECT_EQ(script_message(head + "--comment \"a"), "job.sh:3: unmatched \"");
  EXPECT_EQ(script_message(head + "--comment\n"), "job.sh:3: --comment: needs a value");
  EXPECT_EQ(script_message(head + "hetjob\n"),
            "job.sh:3: hetjob: one component of a heterogeneous job at a time");
  EXPECT_EQ(script_message(head + "packjob\n"),
            "job.sh:3: packjob: one component of a heterogeneous job at a time");
  EXPECT_EQ(script_message("#!/bin/sh\n#SBATCHx -t 5\n"), "job.sh:2: 'x' is no option");
  EXPECT_EQ(script_message("#!/bin/sh\n#SBATCH --wrap=foo\n"), "");
}

TEST(ApplyScript, RefusesWhatSbatchRefuses) {
  EXPECT_EQ(script_message(""), "job.sh:1: the script is empty");
  EXPECT_EQ(script_message(" \n\n"), "job.sh:1: the script is empty");
  EXPECT_EQ(script_message("echo\n"),
            "job.sh:1: the first line must name an interpreter, as in #!/bin/sh");
  EXPECT_EQ(script_message("#!/bin/sh\r\n"),
            "job.sh:1: the script has DOS line ends (CR LF) instead of LF");
  EXPECT_EQ(script_message(std::string("#!/bin/sh\n\0", 11)),
            "job.sh:1: the script holds a NUL byte");
}

TEST(ApplyScript, KeepsTheFirstBytesOfALongScript) {
  for (const size_t size :
       {kMaxScriptBytes - 1, kMaxScriptBytes, kMaxScriptBytes + 1, 10 * kMaxScriptBytes}) {
    std::string text = "#!/bin/sh\n";
    text.resize(size, 'x');
    EXPECT_EQ(script_submission(text).script, text.substr(0, kMaxScriptBytes));
  }
}

TEST(ApplyScript, SurvivesEveryTruncation) {
  const std::string text = "#!/bin/sh\n#SBATCH -t 5 --comment=\"a\\\"b\" #c\n#SBATCH -N2 'x'\n:\n";
  for (size_t size = 0; size <= text.size(); ++size) {
    const std::string message = script_message(text.substr(0, size));
    EXPECT_TRUE(message.empty() || message.starts_with("job.sh:")) << message;
  }
}

}  // namespace
}  // namespace auspex
