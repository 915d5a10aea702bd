// SPDX-License-Identifier: Apache-2.0
// auspex evaluate as a program, started through the auspex command.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/fixtures/files.h"
#include "tests/fixtures/histories.h"
#include "tests/fixtures/models.h"

namespace auspex {
namespace {

using testing::HasSubstr;

class EvaluateProgram : public testing::Test {
 protected:
  void SetUp() override {
    fixtures::write_file(folder_ / "jobs", fixtures::swf_history(1000, 3));
    ASSERT_TRUE(write_model_file(folder_ / "constant", fixtures::constant_model(300)).ok());
  }

  // Gives the exit status.
  int auspex(const std::string& words) {
    const std::string command = AUSPEX_BINARY_DIR "/auspex " + words + " >" + (folder_ / "stdout") +
                                " 2>" + (folder_ / "stderr");
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  int evaluate(const std::string& words) {
    return auspex("evaluate --jobs " + (folder_ / "jobs") + " --format swf " + words);
  }
  std::string printed() const { return fixtures::read_file(folder_ / "stdout"); }
  std::string complained() const { return fixtures::read_file(folder_ / "stderr"); }

  fixtures::TemporaryFolder folder_;
};

TEST_F(EvaluateProgram, scores_the_last_part_against_the_baselines) {
  ASSERT_EQ(evaluate("--json --model " + (folder_ / "constant")), 0) << complained();
  const nlohmann::json json = nlohmann::json::parse(printed());
  for (const char* predictor : {"auspex", "limit", "last2", "last_signature"}) {
    EXPECT_EQ(json.at(predictor).at("jobs"), 300) << predictor;
  }
  // Each user's jobs take about the same time: the last two tell it, the limit does not.
  EXPECT_GT(json.at("last2").at("accuracy"), 0.9);
  EXPECT_LT(json.at("limit").at("accuracy"), 0.1);
}

TEST_F(EvaluateProgram, plays_the_learning_loop_of_a_pointer_model) {
  ASSERT_EQ(auspex("train --jobs " + (folder_ / "jobs") +
                   " --format swf --until-fraction 0.7 --epochs 20 --batch 32 --out " +
                   (folder_ / "model")),
            0)
      << complained();
  ASSERT_EQ(
      evaluate("--json --figure " + (folder_ / "figure.svg") + " --model " + (folder_ / "model")),
      0)
      << complained();
  const nlohmann::json json = nlohmann::json::parse(printed());
  EXPECT_GT(json.at("auspex").at("accuracy"), 0.9);
  EXPECT_GT(json.at("auspex").at("confident_half_accuracy"), 0.9);
  EXPECT_THAT(fixtures::read_file(folder_ / "figure.svg"), HasSubstr("</svg>"));

  ASSERT_EQ(evaluate("--json --at start --frozen --model " + (folder_ / "model")), 0);
  EXPECT_EQ(nlohmann::json::parse(printed()).at("auspex").at("jobs"), 300);
}

TEST_F(EvaluateProgram, refuses_bad_usage_in_one_line) {
  const auto expect_bad = [this](const std::string& words, const std::string& what) {
    EXPECT_EQ(auspex("evaluate " + words), 2) << words;
    const std::string text = complained();
    EXPECT_THAT(text, HasSubstr(what));
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << words << ": " << text;
    EXPECT_EQ(printed(), "") << words;
  };
  const std::string model = " --model " + (folder_ / "constant");
  const std::string jobs = "--jobs " + (folder_ / "jobs") + " --format swf";
  expect_bad("", "--jobs is required");
  expect_bad("--jobs x --format xml --model m", "'xml' is none of");
  expect_bad(jobs + " --model " + (folder_ / "none"), folder_ / "none");
  expect_bad(jobs + model + " --at noon", "noon");
  expect_bad(jobs + model + " --from-fraction 1", "no job to score: 1000 usable jobs");
  expect_bad(jobs + model + " --figure /nowhere/f.svg", "/nowhere/f.svg");
  EXPECT_EQ(auspex("evaluate --help"), 0);
  EXPECT_THAT(printed(), HasSubstr("--at"));
}

}  // namespace
}  // namespace auspex
