// SPDX-License-Identifier: Apache-2.0
#include "shared/sbatch_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <set>

#include "shared/sbatch_option_table.h"
#include "tests/fixtures/asked.h"

namespace auspex {
namespace {

using fixtures::asked;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Words = std::vector<std::string>;

Submission submission_of(const Words& words) {
  Submission submission;
  const Result<std::string> script = apply_command_line(words, submission);
  EXPECT_TRUE(script.ok()) << script.error().message;
  return submission;
}

std::string message_for(const Words& words) {
  Submission submission;
  const Result<std::string> script = apply_command_line(words, submission);
  return script.ok() ? "" : script.error().message;
}

struct Asked {
  const char* options;
  const char* fields;
};

// The right side is what a job_submit/lua plugin saw for `sbatch OPTIONS k.sh` on Slurm 22.05.8,
// with gres/ of 23.11 for gres: .
constexpr Asked kAsked[] = {
    {"", "min_cpus=1"},
    {"-n 4", "num_tasks=4 min_cpus=4"},
    {"-n4", "num_tasks=4 min_cpus=4"},
    {"--ntasks=4", "num_tasks=4 min_cpus=4"},
    {"--ntasks 4", "num_tasks=4 min_cpus=4"},
    {"-c 3", "cpus_per_task=3 min_cpus=3 pn_min_cpus=3"},
    {"-n 4 -c 3", "num_tasks=4 cpus_per_task=3 min_cpus=12 pn_min_cpus=3"},
    {"-N 2", "min_cpus=2 min_nodes=2 max_nodes=2"},
    {"-N 2-4", "min_cpus=1 min_nodes=2 max_nodes=4"},
    {"-N 1k", "min_cpus=1024 min_nodes=1024 max_nodes=1024"},
    {"-N 2-4k", "min_cpus=1 min_nodes=2 max_nodes=4096"},
    {"-N 2 --ntasks-per-node=3",
     "num_tasks=6 ntasks_per_node=3 min_cpus=6 min_nodes=2 max_nodes=2"},
    {"--ntasks-per-node=3", "num_tasks=3 ntasks_per_node=3 min_cpus=3"},
    {"--tasks-per-node=1", "num_tasks=1 ntasks_per_node=1 min_cpus=1"},
    {"--ntasks-per-node=3 -n 6", "num_tasks=6 ntasks_per_node=3 min_cpus=6"},
    {"-N2 -c3", "cpus_per_task=3 min_cpus=6 pn_min_cpus=3 min_nodes=2 max_nodes=2"},
    {"-N2 -n 8 -c2",
     "num_tasks=8 cpus_per_task=2 min_cpus=16 pn_min_cpus=2 min_nodes=2 max_nodes=2"},
    {"--mincpus=5", "min_cpus=1 pn_min_cpus=5"},
    {"-O -n4", "num_tasks=4 min_cpus=1"},
    {"--mem=4G", "min_cpus=1 memory_per_node=4096"},
    {"--mem=1500K", "min_cpus=1 memory_per_node=2"},
    {"--mem=4GB", "min_cpus=1 memory_per_node=4096"},
    {"--mem=0", "min_cpus=1 memory_per_node=0"},
    {"--mem-per-cpu=2G", "min_cpus=1 memory_per_cpu=2048"},
    {"--gpus=2", "min_cpus=1 tres_per_job=gres/gpu:2"},
    {"-G a100:2,h100:1", "min_cpus=1 tres_per_job=gres/gpu:a100:2,gres/gpu:h100:1"},
    {"--gpus-per-node=a100:2", "min_cpus=1 tres_per_node=gres/gpu:a100:2"},
    {"--gpus-per-task=2 -n 2", "num_tasks=2 min_cpus=2 tres_per_task=gres/gpu:2"},
    {"--gpus-per-socket=1 --sockets-per-node=2", "min_cpus=1 tres_per_socket=gres/gpu:1"},
    {"--cpus-per-gpu=4 -G2", "min_cpus=1 tres_per_job=gres/gpu:2 cpus_per_tres=gres/gpu:4"},
    {"--mem-per-gpu=4G -G2", "min_cpus=1 tres_per_job=gres/gpu:2 mem_per_tres=gres/gpu:4096"},
    {"--gres=gpu:1", "min_cpus=1 tres_per_node=gres/gpu:1"},
    {"--gres=gpu:1g.5gb:1", "min_cpus=1 tres_per_node=gres/gpu:1g.5gb:1"},
    {"--gres=gres:gpu:1", "min_cpus=1 tres_per_node=gres/gpu:1"},
    {"--gres=gpu:a100:2,shard:1", "min_cpus=1 tres_per_node=gres/gpu:a100:2,gres/shard:1"},
    {"--gres=gpu:1 --gpus-per-node=2", "min_cpus=1 tres_per_node=gres/gpu:2,gres/gpu:1"},
    {"--gres=none", "min_cpus=1"},
    {"--exclusive", "min_cpus=1 exclusive=1"},
    {"--exclusive=user", "min_cpus=1"},
    {"-s", "min_cpus=1"},
    {"--requeue", "min_cpus=1 requeue=1"},
    {"--requeue --no-requeue", "min_cpus=1"},
    {"--nice", "min_cpus=1 nice=2147483748"},
    {"--nice=5", "min_cpus=1 nice=2147483653"},
    {"--nice=-5", "min_cpus=1 nice=2147483643"},
    {"--nic=3", "min_cpus=1 nice=2147483651"},
    {"-H", "min_cpus=1 priority=0"},
    {"-HHn3", "num_tasks=3 min_cpus=3 priority=0"},
    {"--hold --priority=5", "min_cpus=1 priority=0"},
    {"--priority=5", "min_cpus=1 priority=5"},
    {"--priority=top", "min_cpus=1 priority=4294967293"},
    {"--signal=USR1", "min_cpus=1 signal=10@60"},
    {"--signal=sigusr1", "min_cpus=1 signal=10@60"},
    {"--signal=B:USR1@300", "min_cpus=1 signal=10@300"},
    {"--signal=RB:12", "min_cpus=1 signal=12@60"},
    {"--signal=99@65535", "min_cpus=1 signal=99@65535"},
    {"-a 1-10%2", "min_cpus=1 array=1-10%2"},
    {"-L foo:2", "min_cpus=1 licenses=foo:2"},
    {"-d afterok:1:2", "min_cpus=1 dependency=afterok:1:2"},
    {"-C a&b", "min_cpus=1 features=a&b"},
    {"--time-min=5 -t 10", "time_limit=10 time_min=5 min_cpus=1"},
    {"-t 4:00:00", "time_limit=240 min_cpus=1"},
    {"-t 0", "time_limit=4294967295 min_cpus=1"},
    {"-t -1", "time_limit=4294967295 min_cpus=1"},
    {"--wckey=w", "min_cpus=1 wckey=w"},
    {"--reservation=r", "min_cpus=1 reservation=r"},
    {"-q q -A a -p p", "account=a partition=p qos=q min_cpus=1"},
    {"-p a -p b", "partition=b min_cpus=1"},
    {"-D /", "work_dir=/ min_cpus=1"},
    {"-Wv -t 5 --", "time_limit=5 min_cpus=1"},
    {"-k --no-kill=off --propagate --get-user-env --get-user-env=10S", "min_cpus=1"},
    {"--tres-per-task=cpu=4,gres/gpu:1", "min_cpus=1 tres_per_task=cpu=4,gres/gpu:1"},
};

TEST(ApplyCommandLine, SeesWhatSlurmctldSees) {
  for (const Asked& c : kAsked) {
    Words words = split_words(c.options);
    words.emplace_back("k.sh");
    EXPECT_EQ(asked(submission_of(words)), c.fields) << c.options;
  }
}

TEST(ApplyCommandLine, EmptyValuesAskForNothing) {
  EXPECT_EQ(asked(submission_of({"-p", "", "--comment=", "-A", "", "k.sh"})), "min_cpus=1");
}

TEST(ApplyCommandLine, TakesScriptAndArguments) {
  Submission s;
  const Result<std::string> script =
      apply_command_line({"-t", "5", "dir/job.sh", "-t", "6", "--", "x y"}, s);
  ASSERT_TRUE(script.ok());
  EXPECT_EQ(*script, "dir/job.sh");
  EXPECT_THAT(s.argv, ElementsAre("dir/job.sh", "-t", "6", "--", "x y"));
  EXPECT_EQ(s.name, "job.sh");
  EXPECT_EQ(s.time_limit_min, 5U);
  EXPECT_EQ(s.submit_line, "sbatch -t 5 dir/job.sh -t 6 -- x y");
  EXPECT_EQ(s.script, "");
  EXPECT_EQ(s.kind, SubmissionKind::kBatch);
}

TEST(ApplyCommandLine, TwoDashesEndTheOptions) {
  EXPECT_THAT(submission_of({"-t", "5", "--", "-t"}).argv, ElementsAre("-t"));
  EXPECT_THAT(submission_of({"-"}).argv, ElementsAre("-"));
}

TEST(ApplyCommandLine, WrapsACommand) {
  const Submission s = submission_of({"-n4", "--wrap", "sleep 1"});
  EXPECT_EQ(s.script, "#!/bin/sh\n\nsleep 1\n");
  EXPECT_EQ(s.name, "wrap");
  EXPECT_THAT(s.argv, IsEmpty());
  EXPECT_EQ(submission_of({"--wrap=x", "-J", "n"}).name, "n");
  EXPECT_EQ(submission_of({}).name, "sbatch");
  EXPECT_EQ(submission_of({"--wrap="}).script, "#!/bin/sh\n\n\n");
  EXPECT_EQ(submission_of({"--wrap", std::string(100'000, 'x')}).script.size(), kMaxScriptBytes);
}

TEST(ApplyCommandLine, FillsTheCallerOnlyWhereEmpty) {
  const int64_t before = std::time(nullptr);
  const Submission own = submission_of({"k.sh"});
  EXPECT_EQ(own.user, std::to_string(getuid()));
  EXPECT_EQ(own.group, std::to_string(getgid()));
  EXPECT_GE(own.submit_time_s, before);

  Submission other;
  other.user = "ada", other.group = "math", other.submit_time_s = 1'600'000'000;
  ASSERT_TRUE(apply_command_line({"--begin=now+60", "--deadline=now+1hour", "k.sh"}, other).ok());
  EXPECT_EQ(other.user, "ada");
  EXPECT_EQ(other.group, "math");
  EXPECT_EQ(other.submit_time_s, 1'600'000'000);
  EXPECT_EQ(other.begin_time_s, 1'600'000'060);
  EXPECT_EQ(other.deadline_s, 1'600'003'600);
}

TEST(ApplyCommandLine, TakesUsersByNumberAndName) {
  const Submission s = submission_of({"--uid=4294967293", "--gid=7", "k.sh"});
  EXPECT_EQ(s.user, "4294967293");
  EXPECT_EQ(s.group, "7");
  EXPECT_EQ(submission_of({"--uid=root", "k.sh"}).user, "0");
  EXPECT_EQ(submission_of({"--gid=root", "k.sh"}).group, "0");
  EXPECT_EQ(message_for({"--uid=no such user"}),
            "--uid: 'no such user' is not a user of this machine");
  EXPECT_EQ(message_for({"--gid="}), "--gid: '' is not a group of this machine");
}

class ApplyCommandLineEnvironment : public testing::Test {
 protected:
  void SetUp() override {
    setenv("AUSPEX", "off", 1);
    setenv("AUSPEX_MODEL", "a.onnx", 1);
    setenv("AUSPEXX", "no", 1);
    setenv("OTHER", "no", 1);
  }
  void TearDown() override {
    for (const char* name : {"AUSPEX", "AUSPEX_MODEL", "AUSPEXX", "OTHER"}) unsetenv(name);
  }
};

TEST_F(ApplyCommandLineEnvironment, PassesOurVariablesOnly) {
  const auto passed = [](const std::string& option) {
    Words variables = submission_of({option, "k.sh"}).environment;
    std::sort(variables.begin(), variables.end());
    return variables;
  };
  EXPECT_THAT(passed("--nice"), ElementsAre("AUSPEX=off", "AUSPEX_MODEL=a.onnx"));
  EXPECT_THAT(passed("--export=ALL"), ElementsAre("AUSPEX=off", "AUSPEX_MODEL=a.onnx"));
  EXPECT_THAT(passed("--export=NONE"), IsEmpty());
  EXPECT_THAT(passed("--export=OTHER,AUSPEX"), ElementsAre("AUSPEX=off"));
  EXPECT_THAT(passed("--export=AUSPEX_BATCH=3"), ElementsAre("AUSPEX_BATCH=3"));
  EXPECT_THAT(passed("--export=ALL,AUSPEX_MODEL=b"), ElementsAre("AUSPEX=off", "AUSPEX_MODEL=b"));
  EXPECT_THAT(passed("--export=AUSPEX='model=a,b',X=1"), ElementsAre("AUSPEX=model=a,b"));
}

struct Refused {
  std::vector<std::string> words;
  const char* message;
};

TEST(ApplyCommandLine, NamesOptionAndValue) {
  const char kCount[] = "is not a whole number above 0";
  const std::vector<Refused> cases = {
      {{"--bogus"}, "--bogus: is no option of sbatch"},
      {{"--bogus=1"}, "--bogus: is no option of sbatch"},
      {{"--=1"}, "--: is no option of sbatch"},
      {{"--tim=3"}, "--tim: is ambiguous: --time or --time-min"},
      {{"-1"}, "-1: is no option of sbatch"},
      {{"-H1"}, "-1: is no option of sbatch"},
      {{"-t"}, "--time: needs a value"},
      {{"--time"}, "--time: needs a value"},
      {{"-Ht"}, "--time: needs a value"},
      {{"--wrap"}, "--wrap: needs a value"},
      {{"--hold=yes"}, "--hold: takes no value"},
      {{"--mem=abc"},
       "--mem: 'abc' is not a memory size (500, 500M, 4G, 1T, 1024K; no suffix means MiB)"},
      {{"--mem", "1G", "--mem-per-cpu=1G"},
       "--mem-per-cpu: '1G' comes after --mem: only one of the two is possible"},
      {{"-N", "4-2"}, "--nodes: '4-2' is not a node count (4, 2-8, 1k)"},
      {{"--signal=USR"},
       "--signal: 'USR' is not a signal ([R][B]:SIGNAL[@SECONDS], seconds up to 65535)"},
      {{"--exclusive=me"}, "--exclusive: 'me' is not known; allowed: user, mcs, topo"},
      {{"--nice=abc"}, "--nice: 'abc' is not a whole number within +/- 2147483645"},
      {{"--priority=-5"}, "--priority: '-5' is not a priority (0 to 4294967293, TOP)"},
      {{":", "-t", "3"},
       "':' starts another component: one component of a heterogeneous job at a time"},
      {{"--wrap=x", "k.sh"}, "--wrap: takes no script and no arguments, but 'k.sh' follows"},
  };
  for (const Refused& c : cases) EXPECT_EQ(message_for(c.words), c.message);
  for (const char* option : {"-n", "-c", "--ntasks-per-node=", "--mincpus=", "--cpus-per-gpu="}) {
    for (const char* value : {"0", "-1", "1.5", "4x", "4k", "99999999999", " 4", "nan"}) {
      const std::string text = value;
      EXPECT_THAT(message_for({option + text}), HasSubstr("'" + text + "' " + kCount)) << option;
    }
  }
}

TEST(ApplyCommandLine, RefusesBadValues) {
  for (const char* word : {"-t=5",
                           "-tabc",
                           "--time=",
                           "--time=1.5",
                           "--time-min=x",
                           "--mem=",
                           "--mem=4.5G",
                           "--mem=1P",
                           "--mem=-1",
                           "--mem-per-gpu=x",
                           "-N",
                           "-Nabc",
                           "-N2-",
                           "-N2-4-6",
                           "-N2,4",
                           "-N-1",
                           "-N4000000k",
                           "--signal=",
                           "--signal=0",
                           "--signal=B:",
                           "--signal=X:USR1",
                           "--signal=10@70000",
                           "--signal=10@",
                           "--begin=foo",
                           "--begin=",
                           "--deadline=25:00",
                           "--nice=99999999999",
                           "--priority=4294967294",
                           "--uid=-1"}) {
    EXPECT_NE(message_for({word}), "") << word;
  }
}

// Any bytes may stand on a command line.
TEST(ApplyCommandLine, SurvivesEveryOptionWithHostileValues) {
  for (const SbatchOption& option : sbatch_options()) {
    for (const std::string& value :
         {std::string(), std::string("\xff\xfe\n"), std::string(100'000, '9'), std::string("-"),
          std::string(",,,:::"), std::string("%s%n"), std::string("@:@"), std::string("nan"),
          std::string("'\"")}) {
      Submission submission;
      const std::string word = "--" + std::string(option.name) + "=" + value;
      const Result<std::string> script = apply_command_line({word, "k.sh"}, submission);
      const std::string message = script.ok() ? "" : script.error().message;
      EXPECT_TRUE(message.empty() || message.starts_with("--" + std::string(option.name)));
    }
  }
}

TEST(SbatchOptions, NamesAndLettersAreUnique) {
  std::set<std::string_view> names;
  std::set<char> letters;
  for (const SbatchOption& option : sbatch_options()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name;
    EXPECT_TRUE(option.letter == 0 || letters.insert(option.letter).second) << option.letter;
  }
}

// What sbatch 22.05.8 completes "--a" to "--z" to, and what 23.02 to 25.05 added.
constexpr char kNames[] =
    "account acctg-freq array batch bb bbf begin chdir cluster cluster-constraint "
    "clusters comment constraint container context contiguous core-spec cores-per-socket "
    "cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot dependency distribution "
    "error exclude exclusive export export-file extra-node-info get-user-env gid gpu-bind "
    "gpu-freq gpus gpus-per-node gpus-per-socket gpus-per-task gres gres-flags help hint "
    "hold ignore-pbs input job-name kill-on-invalid-dep licenses mail-type mail-user "
    "mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nice no-kill "
    "no-requeue nodefile nodelist nodes ntasks ntasks-per-core ntasks-per-gpu "
    "ntasks-per-node ntasks-per-socket ntasks-per-tres open-mode output overcommit "
    "oversubscribe parsable partition power prefer priority profile propagate qos quiet "
    "reboot requeue reservation signal sockets-per-node spread-job switches "
    "tasks-per-node test-only thread-spec threads-per-core time time-min tmp uid usage "
    "use-min-nodes verbose version wait wait-all-nodes wckey wrap consolidate-segments "
    "container-id extra oom-kill-step resv-ports segment spread-segments stepmgr "
    "tres-bind tres-per-task";

TEST(SbatchOptions, KnowsAllOfSbatch) {
  const auto is_unknown = [](const std::string& word) {
    return message_for({word}).find("is no option") != std::string::npos;
  };
  const Words names = split_words(kNames);
  for (const std::string& name : names) EXPECT_FALSE(is_unknown("--" + name)) << name;
  EXPECT_EQ(names.size(), sbatch_options().size());
  for (const char letter : std::string_view("AaBbCcDdeFGHhiJkLMmNnOopQqStVvWwxs")) {
    EXPECT_FALSE(is_unknown(std::string("-") + letter)) << letter;
  }
  for (const char letter : std::string_view("fgjlruyzEIKPRTUXYZ")) {
    EXPECT_TRUE(is_unknown(std::string("-") + letter)) << letter;
  }
}

TEST(WordsOfOption, CountsTheWordsOfOne) {
  for (const char* word : {"job.sh", "-", "--", ":", ""})
    EXPECT_EQ(words_of_option(word), 0U) << word;
  for (const char* word : {"-n4", "-H", "-Hn4", "--time=5", "--nice", "--hold", "--exclusive", "-k",
                           "-kH", "--json", "--bogus=1", "-1", "-t="}) {
    EXPECT_EQ(words_of_option(word), 1U) << word;
  }
  for (const char* word : {"-n", "-Hn", "--time", "--comm", "--wrap"})
    EXPECT_EQ(words_of_option(word), 2U) << word;
}

TEST(SplitWords, SplitsLikeAShell) {
  EXPECT_THAT(split_words(""), IsEmpty());
  EXPECT_THAT(split_words(" \t\n "), IsEmpty());
  EXPECT_THAT(split_words("a  b\tc\nd"), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(split_words("'a b'\"c d\"e ''"), ElementsAre("a bc de", ""));
  EXPECT_THAT(split_words(R"(a\ b 'c\d' "e\"f\g" \\)"),
              ElementsAre("a b", R"(c\d)", R"(e"f\g)", R"(\)"));
  EXPECT_THAT(split_words("a#b # c"), ElementsAre("a#b", "#", "c"));
  EXPECT_THAT(split_words("it's open"), ElementsAre("its open"));
  EXPECT_THAT(split_words("end\\"), ElementsAre("end\\"));
}

}  // namespace
}  // namespace auspex
