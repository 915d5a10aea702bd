// SPDX-License-Identifier: Apache-2.0
// auspex quantize as a program, started through the auspex command.
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

class QuantizeProgram : public testing::Test {
 protected:
  void SetUp() override {
    fixtures::write_file(folder_ / "jobs", fixtures::swf_history(1000, 3));
    ASSERT_TRUE(
        write_model_file(folder_ / "random", fixtures::random_pointer_model({64, 32}, 16, 10, 7))
            .ok());
  }

  // Gives the exit status.
  int auspex(const std::string& words) {
    const std::string command = AUSPEX_BINARY_DIR "/auspex " + words + " >" + (folder_ / "stdout") +
                                " 2>" + (folder_ / "stderr");
    const int status = std::system(command.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  int quantize_to(const std::string& out, const std::string& words) {
    return auspex("quantize --jobs " + (folder_ / "jobs") + " --format swf --out " + out + " " +
                  words);
  }
  int quantize(const std::string& words) { return quantize_to(folder_ / "out", words); }
  std::string printed() const { return fixtures::read_file(folder_ / "stdout"); }
  std::string complained() const { return fixtures::read_file(folder_ / "stderr"); }
  std::string random() const { return " --model " + (folder_ / "random"); }

  fixtures::TemporaryFolder folder_;
};

TEST_F(QuantizeProgram, writes_a_model_that_is_loaded_in_its_precision) {
  ASSERT_EQ(quantize("--precision int8 --json --most-loss 0.02" + random()), 0) << complained();
  const nlohmann::json json = nlohmann::json::parse(printed());
  EXPECT_EQ(json.at("before").at("jobs"), 300);
  EXPECT_THAT(json.at("before").at("backend"), HasSubstr("fp32"));
  EXPECT_THAT(json.at("after").at("backend"), HasSubstr("int8"));
  EXPECT_NE(json.at("after").at("mae_h"), json.at("before").at("mae_h"));
  EXPECT_LE(json.at("loss"), 0.02);
  EXPECT_EQ(json.at("before").at("rms_over_sd"), 0);
  EXPECT_GT(json.at("after").at("rms_over_sd"), 0);
  EXPECT_LT(json.at("after").at("rms_over_sd"), 0.05);
  EXPECT_EQ((*ModelFile::open(folder_ / "out"))->summary().precision, "int8");

  ASSERT_EQ(auspex("model show --json " + (folder_ / "out")), 0);
  EXPECT_EQ(nlohmann::json::parse(printed()).at("precision"), "int8");
}

TEST_F(QuantizeProgram, the_weights_stay_so_it_can_be_taken_back) {
  ASSERT_EQ(quantize("--precision int8 --most-loss 0.02" + random()), 0) << complained();
  ASSERT_EQ(quantize("--precision fp32 --model " + (folder_ / "out")), 0) << complained();
  EXPECT_EQ(fixtures::read_file(folder_ / "out"), fixtures::read_file(folder_ / "random"));
}

// Two large terms that cancel each other; of rounded ones 0.4 is left, and outputs are e^4 times as
// long.
ModelContent cancelling() {
  ModelContent content = fixtures::constant_model(300);
  content.layers[0].bias = {1, .3F, 0, 0};
  ModelContent::Layer between{4, 4, std::vector<float>(16, 0), std::vector<float>(4, 0), true};
  between.weights[0] = 100;
  between.weights[4] = -333.3333F;
  content.layers.insert(content.layers.begin() + 1, between);
  std::fill_n(content.layers[2].weights.begin(), kOutputCount, 10.0F);
  return content;
}

TEST_F(QuantizeProgram, refuses_what_costs_more_than_the_bound) {
  ASSERT_TRUE(write_model_file(folder_ / "cancels", cancelling()).ok());
  const int code = quantize("--precision int8 --json --model " + (folder_ / "cancels"));
  const nlohmann::json json = nlohmann::json::parse(printed());
  EXPECT_EQ(code, 1) << json;
  EXPECT_GT(json.at("loss"), .002);
  EXPECT_EQ(json.at("written"), false);
  EXPECT_FALSE(ModelFile::open(folder_ / "out").ok());
}

TEST_F(QuantizeProgram, looks_at_the_quantiles_too) {
  // The accuracy point is as it was; the quantiles, of which limits are made, are far shorter.
  ModelContent content = cancelling();
  std::fill_n(content.layers[2].weights.begin(), kQuantileCount, -10.0F);
  content.layers[2].weights[kQuantileCount] = 0;
  ASSERT_TRUE(write_model_file(folder_ / "cancels", content).ok());
  const int code = quantize("--precision int8 --json --model " + (folder_ / "cancels"));
  const nlohmann::json json = nlohmann::json::parse(printed());
  EXPECT_EQ(code, 1) << json;
  EXPECT_EQ(json.at("before").at("accuracy"), json.at("after").at("accuracy"));
  EXPECT_GT(json.at("loss"), .002);
}

TEST_F(QuantizeProgram, trains_on_in_the_precision_if_it_is_told_to) {
  ASSERT_TRUE(
      write_model_file(folder_ / "pointer", fixtures::random_pointer_model({256, 128}, 32, 10, 7))
          .ok());
  ASSERT_TRUE(write_model_file(folder_ / "mlp", fixtures::random_model({64, 32}, 10, 7)).ok());
  for (const std::string model : {"pointer", "mlp"}) {
    ASSERT_EQ(
        quantize("--precision int4 --tune 2 --json --most-loss 1 --model " + (folder_ / model)), 0)
        << complained();
    const nlohmann::json json = nlohmann::json::parse(printed());
    // Of the first 700 jobs those that had ended when the next one came.
    EXPECT_EQ(json.at("tuned_on"), 696) << json;
    EXPECT_NE(json.at("after").at("accuracy"), json.at("untuned").at("accuracy")) << json;
    EXPECT_EQ((*ModelFile::open(folder_ / "out"))->summary().precision, "int4");
    // What is written is what was compared.
    ASSERT_EQ(quantize("--precision int4 --json --most-loss 1 --model " + (folder_ / "out")), 0);
    nlohmann::json again = nlohmann::json::parse(printed()), after = json.at("after");
    for (auto* compared : {&again.at("after"), &after}) {
      compared->erase("rms_over_sd");  // against other weights in FP32
    }
    EXPECT_EQ(again.at("after"), after);
    EXPECT_FALSE(again.contains("tuned_on"));
  }
}

TEST_F(QuantizeProgram, says_what_it_cannot_tune) {
  const std::string tune = "--precision int4 --tune 1 --most-loss 1";
  EXPECT_EQ(quantize(tune + random()), 2);
  EXPECT_THAT(complained(), HasSubstr("shapes are not those that this build trains"));
  EXPECT_EQ(quantize(tune + " --from-fraction 0.05" + random()), 2);
  EXPECT_THAT(complained(),
              HasSubstr("jobs submitted and ended before the comparison are too few"));
  EXPECT_EQ(quantize("--precision int4 --tune -1" + random()), 2);
  EXPECT_FALSE(ModelFile::open(folder_ / "out").ok());
}

TEST_F(QuantizeProgram, names_what_is_wrong) {
  EXPECT_EQ(quantize("--precision int3" + random()), 2);
  EXPECT_THAT(complained(),
              HasSubstr("precision \"int3\"; allowed are: fp32 bf16 int8 int4 int8-2:4"));
  EXPECT_EQ(quantize("--precision int8 --model /nonexistent"), 2);
  EXPECT_THAT(complained(), HasSubstr("/nonexistent: No such file"));
  EXPECT_EQ(quantize("--precision int8 --from-fraction 2" + random()), 2);
  EXPECT_EQ(quantize_to("/nonexistent/m", "--precision int8" + random()), 2);
  EXPECT_EQ(auspex("quantize --help"), 0);
}

}  // namespace
}  // namespace auspex
