// SPDX-License-Identifier: Apache-2.0
// auspex train as a program: what it prints, how it ends, what it leaves behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "shared/model_file.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/histories.h"

namespace auspex {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class TrainProgram : public testing::Test {
 protected:
  void SetUp() override { fixtures::write_file(folder_ / "jobs", fixtures::swf_history(400, 3)); }

  // Gives the exit status.
  int run(const std::string& words, const std::string& variables = "") {
    const std::string command = variables + " " AUSPEX_BINARY_DIR "/auspex-learn train " + words +
                                " >" + (folder_ / "stdout") + " 2>" + (folder_ / "stderr");
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  int train(const std::string& words, const std::string& variables = "") {
    return run("--jobs " + (folder_ / "jobs") +
                   " --format swf --network mlp --hidden 8,4 --epochs 2 " + words,
               variables);
  }
  std::string printed() const { return fixtures::read_file(folder_ / "stdout"); }
  std::string complained() const { return fixtures::read_file(folder_ / "stderr"); }
  size_t files() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      count += entry.exists() ? 1 : 0;
    }
    return count;
  }

  fixtures::TemporaryFolder folder_;
};

TEST_F(TrainProgram, writes_a_model) {
  ASSERT_EQ(train("--json --out " + (folder_ / "model")), 0) << complained();
  const nlohmann::json json = nlohmann::json::parse(printed());
  EXPECT_EQ(json.at("jobs"), 400);
  EXPECT_EQ(json.at("epochs"), 2);
  EXPECT_EQ(json.at("model"), folder_ / "model");
  EXPECT_TRUE(json.at("validation_loss").is_number());
  EXPECT_TRUE(json.at("seconds").is_number());
  EXPECT_THAT(complained(), StartsWith("epoch 1: "));
  const auto model = ModelFile::open(folder_ / "model");
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_THAT((*model)->summary().trained_on, StartsWith("jobs: 400 jobs, 1970-01-01"));
}

// What was promised to them is known from the first day, and who they were only where names count.
TEST_F(TrainProgram, rehearses_the_newest_tenth) {
  const std::string pointer = "--json --jobs " + (folder_ / "jobs") + " --format swf --out ";
  ASSERT_EQ(run(pointer + (folder_ / "model")), 0) << complained();
  const nlohmann::json rehearsal = nlohmann::json::parse(printed()).at("rehearsal");
  EXPECT_EQ(rehearsal.at("jobs"), 40);
  EXPECT_GT(rehearsal.at("accuracy"), 0.5);
  const auto model = ModelFile::open(folder_ / "model");
  ASSERT_TRUE(model.ok()) << model.error().message;
  const CalibrationState state = (*model)->calibration().state();
  EXPECT_EQ(state.window.size(), 40U);
  EXPECT_EQ(state.users.size(), 5U);

  ASSERT_EQ(run("--no-ids " + pointer + (folder_ / "nobody")), 0) << complained();
  const CalibrationState nobodys = (*ModelFile::open(folder_ / "nobody"))->calibration().state();
  EXPECT_EQ(nobodys.window.size(), 40U);
  EXPECT_TRUE(nobodys.users.empty());
}

TEST_F(TrainProgram, learns_nothing_of_what_happens_later) {
  const std::string swf = fixtures::swf_history(400, 3);
  std::istringstream lines(swf);
  std::string changed, line;
  // Jobs take less than ten minutes, one a minute: from the 290th on none has ended at the 300th.
  for (size_t index = 0; std::getline(lines, line); ++index) {
    std::istringstream fields(line);
    std::string number, submit, wait, runtime, rest;
    fields >> number >> submit >> wait >> runtime;
    std::getline(fields, rest);
    if (index >= 300) runtime = "7000";
    changed += number + " " + submit + " " + wait + " " + runtime + rest + "\n";
  }
  fixtures::write_file(folder_ / "changed", changed);
  for (const std::string file : {"jobs", "changed"}) {
    ASSERT_EQ(run("--until-fraction 0.75 --jobs " + (folder_ / file) + " --format swf --out " +
                      (folder_ / ("of-" + file)),
                  "SOURCE_DATE_EPOCH=1700000000"),
              0)
        << complained();
  }
  const auto model = ModelFile::open(folder_ / "of-jobs"),
             other = ModelFile::open(folder_ / "of-changed");
  ModelContent a = (*model)->content(), b = (*other)->content();
  a.trained_on = b.trained_on = "";  // they name the files
  EXPECT_TRUE(*model_bytes(a) == *model_bytes(b));
}

TEST_F(TrainProgram, can_give_equal_files) {
  ASSERT_EQ(train("--out " + (folder_ / "one"), "SOURCE_DATE_EPOCH=1700000000"), 0);
  ASSERT_EQ(train("--out " + (folder_ / "two"), "SOURCE_DATE_EPOCH=1700000000"), 0);
  EXPECT_TRUE(fixtures::read_file(folder_ / "one") == fixtures::read_file(folder_ / "two"));
}

TEST_F(TrainProgram, learns_from_the_first_part_only) {
  ASSERT_EQ(train("--json --until-fraction 0.5 --out " + (folder_ / "model")), 0) << complained();
  const size_t jobs = nlohmann::json::parse(printed()).at("jobs");
  EXPECT_LT(jobs, 200U);  // some of the first half had not ended
  EXPECT_GT(jobs, 190U);
}

TEST_F(TrainProgram, leaves_nothing_behind_when_it_fails) {
  fixtures::write_file(folder_ / "jobs", fixtures::swf_history(50, 3));
  EXPECT_EQ(train("--out " + (folder_ / "model")), 2);
  EXPECT_THAT(complained(), HasSubstr("jobs: training: 50 usable jobs are too few"));
  EXPECT_EQ(files(), 3U);  // jobs, stdout, stderr
}

TEST_F(TrainProgram, refuses_bad_usage_in_one_line) {
  const std::string out = " --out " + (folder_ / "model");
  for (const std::string& words :
       {std::string("--out /nowhere/model"), "--epochs 0" + out, "--hidden 0" + out,
        "--batch 1" + out, "--until-fraction 2" + out, "--no-such-option" + out}) {
    EXPECT_EQ(train(words), 2) << words;
    const std::string text = complained();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << words << ": " << text;
  }
  EXPECT_EQ(run("--jobs " + (folder_ / "jobs") + " --format xls" + out), 2);
  EXPECT_THAT(complained(), HasSubstr("'xls' is none of sacct, swf, csv"));
  EXPECT_EQ(run("--help"), 0);
  EXPECT_THAT(printed(), HasSubstr("--until-fraction"));
}

}  // namespace
}  // namespace auspex
