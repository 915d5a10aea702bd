// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/cli/run_auspex.h"
#include "tests/fixtures/models.h"

namespace auspex::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using Words = std::vector<std::string>;

constexpr int kDone = 0, kNo = 1, kBad = 2;

// A folder with a model whose p50 is 42 minutes, a configuration that uses it, a script, a history.
class Cli : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "auspex-cli-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    ASSERT_TRUE(write_model_file(path("model"), fixtures::constant_model(42 * 60.0)).ok());
    write("auspex.yaml",
          "mode: guarded\nmodel: " + path("model") + "\nsocket: " + path("socket") +
              "\nslurm_user: root\nrules:\n- {match: {partition: debug}, mode: off}\n"
              "- {match: {user: root, qos: advised}, mode: advise}\n");
    write("job.sh", "#!/bin/sh\n#SBATCH -t 4:00:00\nsleep 1\n");
    write(
        "jobs.csv",
        "job_id,user,submit_time,start_time,end_time,run_time,wallclock_req,nodes_req,processors_"
        "req,state\n"
        "1,a,2019-01-01 08:00:00,2019-01-01 08:00:00,2019-01-01 09:00:00,3600,14400,1,1,COMPLETED\n"
        "2,a,2019-01-01 10:00:00,2019-01-01 10:00:00,2019-01-01 11:00:00,3600,14400,1,1,COMPLETED\n"
        "3,b,2019-01-01 12:00:00,2019-01-01 12:00:00,2019-01-01 12:01:00,60,600,1,1,COMPLETED\n");
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
  }
  Words dry_run(Words words) const {
    Words all = {"dry-run", "--config", path("auspex.yaml")};
    all.insert(all.end(), words.begin(), words.end());
    return all;
  }
  json dry_run_json(Words words) const {
    words.insert(words.begin(), "--json");
    const Ran ran = run_auspex(dry_run(words));
    EXPECT_EQ(ran.code, kDone) << ran.err;
    EXPECT_EQ(ran.err, "");
    return json::parse(ran.out, nullptr, false);
  }

  std::string folder_;
};

// Bad usage and bad input: exit 2, nothing on stdout, one line on stderr that holds `what`.
void expect_bad(const Words& words, const std::string& what, int code = kBad) {
  const Ran ran = run_auspex(words);
  EXPECT_EQ(ran.code, code) << testing::PrintToString(words);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, StartsWith("auspex: "));
  EXPECT_THAT(ran.err, HasSubstr(what));
  EXPECT_EQ(ran.err.find('\n'), ran.err.size() - 1) << ran.err;
}

TEST_F(Cli, HelpIsEverywhere) {
  for (const Words& words : std::vector<Words>{{"--help"},
                                               {"-h"},
                                               {"dry-run", "--help"},
                                               {"dry-run", "-t", "5", "--help", "job.sh"},
                                               {"status", "--help"},
                                               {"check-config", "--help"},
                                               {"model", "--help"},
                                               {"model", "show", "--help"}}) {
    const Ran ran = run_auspex(words);
    EXPECT_EQ(ran.code, kDone) << testing::PrintToString(words);
    EXPECT_EQ(ran.err, "");
    EXPECT_THAT(ran.out, HasSubstr("Usage: auspex"));
  }
  EXPECT_EQ(run_auspex({"--version"}).out, "auspex " AUSPEX_VERSION "\n");
}

TEST_F(Cli, DryRunJsonHasTheAgreedKeys) {
  const json answer = dry_run_json({"-p", "gpu", "--gres=gpu:1", path("job.sh"), "--json"});
  ASSERT_TRUE(answer.is_object());
  const json& decision = answer.at("decision");
  EXPECT_EQ(decision.at("mode"), "guarded");
  EXPECT_EQ(decision.at("rule"), nullptr);
  EXPECT_EQ(decision.at("time_limit_min").at("asked"), 240);
  // p90 of the model is 42 * 2^0.4 = 55.4 minutes; with the margin of 1.1 and steps of five: 65.
  EXPECT_EQ(decision.at("time_limit_min").at("applied"), 65);
  EXPECT_EQ(decision.at("gres").at("asked"), "gres/gpu:1");
  EXPECT_EQ(decision.at("gres").at("applied"), "gres/gpu:1");
  EXPECT_TRUE(decision.at("message").is_string());
  EXPECT_EQ(decision.at("changed"), true);
  EXPECT_EQ(decision.at("why"), "model");
  const json& prediction = answer.at("prediction");
  EXPECT_EQ(prediction.at("quantiles_min"),
            json({{"p50", 42.0}, {"p90", 55.42}, {"p95", 57.37}, {"p99", 58.99}}));
  EXPECT_TRUE(prediction.at("model").is_string());
  EXPECT_TRUE(prediction.at("backend").is_string());
  EXPECT_GE(prediction.at("latency_us"), 0);
  EXPECT_TRUE(answer.at("dippm").is_null());
  EXPECT_EQ(answer.at("slice"), json({{"why", "off"}, {"type", nullptr}}));
}

TEST_F(Cli, DryRunJsonSaysNullForWhatIsNotThere) {
  const json answer = dry_run_json({"--wrap", "sleep 1"});
  EXPECT_EQ(answer.at("decision").at("time_limit_min").at("asked"), nullptr);
  EXPECT_EQ(answer.at("decision").at("time_limit_min").at("applied"), nullptr);
  EXPECT_EQ(answer.at("decision").at("gres").at("asked"), nullptr);
  EXPECT_EQ(answer.at("decision").at("message"), nullptr);
  EXPECT_EQ(answer.at("decision").at("changed"), false);
  EXPECT_EQ(answer.at("decision").at("why"), "no-limit-asked");
}

TEST_F(Cli, DryRunTakesOptionsInAnyOrder) {
  const auto applied = [&](const Words& words) {
    return dry_run_json(words).at("decision").at("time_limit_min").at("applied");
  };
  EXPECT_EQ(applied({path("job.sh")}), 65);
  EXPECT_EQ(applied({"-t", "5", path("job.sh")}), 5);
  EXPECT_EQ(applied({path("job.sh"), "-t", "5"}), 65);  // the script's own
  EXPECT_EQ(applied({"-n4", "-t2:00:00", "--wrap", "sleep 1"}), 65);
  EXPECT_EQ(applied({"-n", "4", "--model=" + path("model"), "--time=2:00:00", "--wrap=x"}), 65);
  // A value that looks like an option of ours is still a value.
  EXPECT_EQ(applied({"--comment", "--help", "--", path("job.sh")}), 65);
}

TEST_F(Cli, DryRunFollowsTheRules) {
  const json off = dry_run_json({"-p", "debug", path("job.sh")}).at("decision");
  EXPECT_EQ(off.at("rule"), 0);
  EXPECT_EQ(off.at("why"), "mode-off");
  // By name in the file, by uid in the submission.
  const json advised = dry_run_json({"--uid=0", "-q", "advised", path("job.sh")}).at("decision");
  EXPECT_EQ(advised.at("rule"), 1);
  EXPECT_EQ(advised.at("changed"), false);
  EXPECT_EQ(advised.at("time_limit_min").at("proposed"), 65);
  write("job.sh", "#!/bin/sh\n#SBATCH -t 4:00:00\n#AUSPEX off\n");
  EXPECT_EQ(dry_run_json({path("job.sh")}).at("decision").at("why"), "opt-out");
}

TEST_F(Cli, DryRunReadsAScriptFromStandardInput) {
  const Ran ran = run_auspex(dry_run({"--json"}), "#!/bin/sh\n#SBATCH -t 3:00:00\n");
  EXPECT_EQ(ran.code, kDone) << ran.err;
  EXPECT_EQ(json::parse(ran.out).at("decision").at("time_limit_min").at("asked"), 180);
}

TEST_F(Cli, DryRunForPeopleHasNoColoursInAPipe) {
  const Ran ran = run_auspex(dry_run({path("job.sh")}));
  EXPECT_EQ(ran.code, kDone) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("asked        04:00:00\n"));
  EXPECT_THAT(ran.out, HasSubstr("would apply  01:05:00 instead of 04:00:00\n"));
  EXPECT_THAT(ran.out, Not(HasSubstr("\033")));
}

TEST_F(Cli, DryRunWithoutAModelLeavesEveryJobAlone) {
  fs::remove(path("model"));
  const Ran ran = run_auspex(dry_run({"--json", path("job.sh")}));
  EXPECT_EQ(ran.code, kDone);
  EXPECT_THAT(ran.err, HasSubstr("warning: no model: " + path("model")));
  const json answer = json::parse(ran.out);
  EXPECT_EQ(answer.at("decision").at("why"), "no-model");
  EXPECT_EQ(answer.at("prediction"), nullptr);
}

TEST_F(Cli, DryRunDecidesAHistory) {
  const Words jobs = {"--jobs", path("jobs.csv"), "--format", "csv"};
  const auto ids = [&](Words more) {
    more.insert(more.end(), jobs.begin(), jobs.end());
    Words found;
    const json answer = dry_run_json(more);
    for (const json& item : answer.at("decisions")) {
      found.push_back(item.at("id"));
      EXPECT_TRUE(item.at("decision").is_object());
      EXPECT_TRUE(item.at("prediction").is_object());
    }
    return found;
  };
  EXPECT_THAT(ids({}), testing::ElementsAre("1", "2", "3"));
  EXPECT_THAT(ids({"--limit", "2"}), testing::ElementsAre("1", "2"));
  EXPECT_THAT(ids({"--limit=0"}), testing::IsEmpty());
  EXPECT_THAT(ids({"--from-fraction", "0.5"}), testing::ElementsAre("2", "3"));
  EXPECT_THAT(ids({"--from-fraction", "1"}), testing::IsEmpty());

  const Ran rows = run_auspex(dry_run(jobs));
  EXPECT_EQ(rows.code, kDone) << rows.err;
  EXPECT_EQ(std::count(rows.out.begin(), rows.out.end(), '\n'), 4);  // with the head
}

TEST_F(Cli, BadSubmissionsAreNamed) {
  const auto bad = [&](const Words& words, const std::string& what) {
    expect_bad(dry_run(words), what);
  };
  bad({path("no-such")},
      "dry-run: " + path("no-such") + ": cannot be opened: No such file or directory");
  bad({folder_}, folder_ + ": cannot be read: Is a directory");
  bad({path("job.sh/x")}, "Not a directory");
  bad({}, "standard input:1: the script is empty");
  bad({"-t", "abc", path("job.sh")}, "--time: 'abc' is not a time limit");
  bad({"-t"}, "--time: needs a value");
  bad({"--bogus", path("job.sh")}, "--bogus: is no option of sbatch");
  bad({"--mem=nan", path("job.sh")}, "--mem: 'nan' is not a memory size");
  bad({"-n", "", path("job.sh")}, "--ntasks: '' is not a whole number above 0");
  bad({"--wrap=x", path("job.sh")}, "--wrap: takes no script");
  bad({":", path("job.sh")}, "heterogeneous");
  write("bad.sh", "#!/bin/sh\n\n#SBATCH --bogus\n");
  bad({path("bad.sh")}, path("bad.sh") + ":3: --bogus: is no option of sbatch");
  write("big.sh", "#!/bin/sh\n" + std::string(4 * 1024 * 1024, 'x'));
  bad({path("big.sh")}, "is larger than 4 MiB");
}

TEST_F(Cli, BadUsageIsNamed) {
  expect_bad({}, "no command given");
  expect_bad({""}, "'' is no command");
  expect_bad({"nope"}, "'nope' is no command");
  expect_bad({"--json"}, "'--json' is no command");
  expect_bad({"dry-run", "--config"}, "--config");
  expect_bad(dry_run({"--config", "x"}), "--config");
  expect_bad({"dry-run", "--limit", "-1", "x"}, "'-1' is not a whole number");
  expect_bad({"dry-run", "--limit", "99999999999999999999", "x"}, "is not a whole number");
  expect_bad({"dry-run", "--limit", "nan", "x"}, "'nan' is not a whole number");
  for (const char* share : {"nan", "-nan", "inf", "-0.1", "1.1", "", "x", "0.5x"}) {
    expect_bad({"dry-run", "--from-fraction", share, "x"},
               "--from-fraction: '" + std::string(share) + "'");
  }
  expect_bad({"dry-run", "--jobs", "x"}, "--jobs and --format need each other");
  expect_bad({"dry-run", "--format", "csv", "x"}, "--jobs and --format need each other");
  expect_bad({"dry-run", "--jobs", "x", "--format", "csv", "job.sh"}, "but 'job.sh' is given");
  expect_bad({"dry-run", "--jobs", "x", "--format", "xml"}, "'xml' is none of sacct, swf, csv");
  expect_bad({"model"}, "subcommand is required");
  expect_bad({"model", "hide"}, "hide");
  expect_bad({"model", "show"}, "FILE is required");
  expect_bad({"check-config", "a", "b"}, "b");
  expect_bad({"status", "extra"}, "extra");
}

TEST_F(Cli, BadFilesAreNamed) {
  for (const char* command : {"check-config", "model"}) {
    const Words head = command == std::string("model") ? Words{"model", "show"} : Words{command};
    for (const std::string& file :
         {path("none"), folder_, path("job.sh/x"), std::string(5000, 'x'), std::string()}) {
      Words words = head;
      words.push_back(file);
      expect_bad(words, file.empty() || file.size() > 1000 ? "" : file);
    }
  }
  expect_bad({"model", "show", path("job.sh")}, path("job.sh"));
  expect_bad({"dry-run", "--config", path("none"), path("job.sh")},
             path("none") + ": cannot be opened");
  expect_bad({"dry-run", "--model", path("none"), path("job.sh")}, path("none"));
  expect_bad(dry_run({"--jobs", path("none"), "--format", "csv"}), path("none"));
  expect_bad(dry_run({"--jobs", path("job.sh"), "--format", "csv"}), path("job.sh"));
  write("none.swf", "; a log of no jobs\n");
  expect_bad(dry_run({"--jobs", path("none.swf"), "--format", "swf"}), "holds no job");
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  expect_bad(dry_run({"--jobs", path("pipe"), "--format", "swf"}), path("pipe") + ": is a pipe");
}

TEST_F(Cli, ConfigurationTyposAreNamed) {
  write("typo.yaml", "mode: guarded\n\nrisk: 1.5\n");
  const std::string what =
      path("typo.yaml") + ":3: risk: 1.5 is out of range; allowed: 0.0001 to 0.5";
  expect_bad({"check-config", path("typo.yaml")}, what);
  expect_bad({"check-config", "--json", "--config", path("typo.yaml")}, what);
  expect_bad({"dry-run", "--config", path("typo.yaml"), path("job.sh")}, what);
  expect_bad({"status", "--config", path("typo.yaml")}, what);
  write("typo.yaml", "limits: {flor_min: 3}\n");
  expect_bad({"check-config", path("typo.yaml")}, "did you mean limits.floor_min?");
  write("typo.yaml", "model: " + path("job.sh") + "\n");
  expect_bad({"check-config", path("typo.yaml")}, path("typo.yaml") + ": model: " + path("job.sh"));
}

TEST_F(Cli, CheckConfigShowsWhatHolds) {
  const Ran ran = run_auspex({"check-config", path("auspex.yaml")});
  EXPECT_EQ(ran.code, kDone) << ran.err;
  EXPECT_EQ(ran.err, "");
  EXPECT_THAT(ran.out, StartsWith(path("auspex.yaml") + " ok\n"));
  EXPECT_THAT(ran.out, HasSubstr("guarded\n"));
  EXPECT_THAT(ran.out, HasSubstr("trained on"));

  const json answer = json::parse(run_auspex({"check-config", "--json", path("auspex.yaml")}).out);
  EXPECT_EQ(answer.at("ok"), true);
  EXPECT_EQ(answer.at("values").at("rules[1].match.qos"), "advised");
  EXPECT_EQ(answer.at("model").at("trained_on"), "constant");

  fs::remove(path("model"));
  const Ran without = run_auspex({"check-config", "--json", path("auspex.yaml")});
  EXPECT_EQ(without.code, kDone);
  EXPECT_EQ(json::parse(without.out).at("model"), nullptr);
  EXPECT_EQ(json::parse(without.out).at("warnings").size(), 1U);
}

// As the daemon, which may run on another machine.
TEST_F(Cli, WithoutAGpuTheCpuAnswersAndItIsSaid) {
  if (fs::exists("/dev/nvidiactl")) GTEST_SKIP() << "this machine has one";
  write("gpu.yaml", "model: " + path("model") + "\nbackend: cuda\n");
  const Ran checked = run_auspex({"check-config", "--json", path("gpu.yaml")});
  EXPECT_EQ(checked.code, kDone) << checked.err;
  const std::string warning = json::parse(checked.out).at("warnings").at(0);
  EXPECT_THAT(warning, StartsWith("backend: cuda: no GPU: "));
  const Ran ran = run_auspex({"dry-run", "--config", path("gpu.yaml"), "--json", path("job.sh")});
  EXPECT_EQ(ran.code, kDone) << ran.err;
  EXPECT_THAT(ran.out, Not(HasSubstr("no_model")));
  EXPECT_THAT(ran.out + ran.err, HasSubstr("the CPU answers"));
}

TEST_F(Cli, ModelShowTellsWhatAFileHolds) {
  const json answer = json::parse(run_auspex({"model", "show", "--json", path("model")}).out);
  EXPECT_EQ(answer.at("trained_on"), "constant");
  EXPECT_EQ(answer.at("bytes"), fs::file_size(path("model")));
  EXPECT_EQ(answer.at("layer_sizes").back(), kOutputCount);
  EXPECT_THAT(run_auspex({"model", "show", path("model")}).out, HasSubstr("constant"));
}

TEST_F(Cli, StatusWithoutADaemonIsANo) {
  expect_bad({"status", "--config", path("auspex.yaml")}, path("socket"), kNo);
  expect_bad({"status", "--json", "--socket", path("socket")}, path("socket"), kNo);
  expect_bad({"status", "--socket", path("job.sh")}, path("job.sh"), kNo);
  expect_bad({"status", "--socket", std::string(5000, 'x')}, "status: ", kNo);
}

TEST_F(Cli, TrainWithoutTheLearnComponentSaysSo) {
  if (fs::exists(AUSPEX_BINARY_DIR "/auspex-learn")) GTEST_SKIP() << "the learn component is built";
  setenv("PATH", folder_.c_str(), 1);
  expect_bad({"train", "--jobs", "x"}, "the learn component is not installed");
  expect_bad({"evaluate", "--jobs", "x"}, "the learn component is not installed");
}

TEST_F(Cli, AnOutputThatCannotBeWrittenIsAnError) {
  const Ran ran = run_auspex({"--help"}, "", "/dev/full");
  EXPECT_EQ(ran.code, kBad);
  EXPECT_EQ(ran.err, "auspex: standard output: cannot be written\n");
}

// Whatever the words are: an exit code of ours, and never more than one line without control
// characters on stderr.
TEST_F(Cli, SurvivesHostileWords) {
  const Words hostile = {"",       "\xff\xfe", "a\nb",        "\033[2J", std::string(100'000, 'A'),
                         "%s%n%d", "-",        "--",          "---",     "=",
                         "--=",    "-\xff",    "'\"\\`$(id)", "\t",      "../../..",
                         "\r\nx",  "--json=",  "--json"};
  const std::vector<Words> heads = {{},
                                    {"dry-run"},
                                    {"dry-run", "-t"},
                                    {"dry-run", "--jobs"},
                                    {"check-config"},
                                    {"model", "show"},
                                    {"status", "--socket"},
                                    {"dry-run", "--format"},
                                    dry_run({"--comment"})};
  for (const Words& head : heads) {
    for (const std::string& word : hostile) {
      Words words = head;
      words.push_back(word);
      const Ran ran = run_auspex(words);
      const std::string shown = testing::PrintToString(words).substr(0, 200);
      EXPECT_THAT(ran.code, testing::AnyOf(kDone, kNo, kBad)) << shown;
      const auto lines = std::count(ran.err.begin(), ran.err.end(), '\n');
      EXPECT_EQ(lines, ran.code == kDone ? lines : 1) << shown << ran.err;
      for (const char c : ran.err)
        EXPECT_TRUE(c == '\n' || (static_cast<unsigned char>(c) >= ' ' && c != 127)) << shown;
    }
  }
}

}  // namespace
}  // namespace auspex::cli
