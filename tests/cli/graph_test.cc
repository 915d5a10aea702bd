// SPDX-License-Identifier: Apache-2.0
// auspex graph, as a user calls it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tests/cli/run_auspex.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/onnx_model.h"

namespace auspex::cli {
namespace {

using fixtures::OnnxModel;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int kDone = 0, kNo = 1, kBad = 2;

// A convolution to 64 channels and a classifier of ten.
OnnxModel classifier() {
  OnnxModel model;
  model.input("x", {"batch", 3, "height", "width"})
      .weight("w", {64, 3, 3, 3})
      .weight("dense", {64, 10})
      .node("Conv", {"x", "w"}, {"c"}, {{"pads", OnnxModel::Dims{1, 1, 1, 1}}})
      .node("Relu", {"c"}, {"r"})
      .node("GlobalAveragePool", {"r"}, {"p"})
      .node("Flatten", {"p"}, {"f"})
      .node("MatMul", {"f", "dense"}, {"y"})
      .output("y");
  return model;
}

class Graph : public testing::Test {
 protected:
  std::string file(const std::string& bytes) const {
    fixtures::write_file(folder_ / "model.onnx", bytes);
    return folder_ / "model.onnx";
  }
  static Ran graph(std::vector<std::string> words) {
    words.insert(words.begin(), "graph");
    return run_auspex(words);
  }

  fixtures::TemporaryFolder folder_;
};

TEST_F(Graph, SaysWhatAModelNeeds) {
  const Ran ran = graph({file(classifier().bytes()), "--batch", "32", "--input", "224x224", "--gpu",
                         "a100-40gb", "--context-mib", "500", "--format", "fp32", "--json"});
  ASSERT_EQ(ran.code, kDone) << ran.err;
  const json answer = json::parse(ran.out);
  EXPECT_EQ(answer["nodes"], 4);
  EXPECT_EQ(answer["macs"], uint64_t{32} * 64 * (224 * 224 * 27 + 10));
  EXPECT_EQ(answer["parameters"], 64 * 27 + 640);
  // Input 19 MiB and 392 MiB of features in segments of their own, cuBLAS's workspace of 8 in one
  // of 20.
  EXPECT_NEAR(answer["memory_mib"], 500 + 392 + 20 + 20, 8);
  EXPECT_GT(answer["latency_ms"], 0);
  EXPECT_GT(answer["energy_j"], 0);
  EXPECT_EQ(answer["mig_profile"], "1g.5gb");
  const double memory_mib = answer["memory_mib"];
  EXPECT_DOUBLE_EQ(answer["fits"]["2g.10gb"], memory_mib / (9.75 * 1024));
  EXPECT_GT(answer["slice_latency_ms"]["1g.5gb"], answer["slice_latency_ms"]["2g.10gb"]);
  EXPECT_DOUBLE_EQ(answer["slice_latency_ms"]["7g.40gb"], answer["latency_ms"]);
}

TEST_F(Graph, NamesItsOperatorsAndWhoReadsWhom) {
  const Ran ran = graph({file(classifier().bytes()), "--input", "8x8", "--operators", "--json"});
  ASSERT_EQ(ran.code, kDone) << ran.err;
  EXPECT_EQ(json::parse(ran.out)["operators"][0],
            json::parse(R"(["convolution",110592,4096,192,1728,9,1,1,1,4,[]])"));
  EXPECT_EQ(json::parse(ran.out)["operators"][3],
            json::parse(R"(["dense",640,10,64,640,1,1,1,1,2,[2]])"));
}

TEST_F(Graph, MoreNeedsALargerSlice) {
  const std::string model = file(classifier().bytes());
  const auto profile = [&](const std::string& batch, const std::string& mode) {
    const Ran ran =
        graph({model, "--batch", batch, "--input", "224x224", "--mode", mode, "--json"});
    EXPECT_EQ(ran.code, kDone) << ran.err;
    return json::parse(ran.out)["mig_profile"];
  };
  EXPECT_EQ(profile("64", "inference"), "1g.5gb");
  EXPECT_EQ(profile("128", "training"), "3g.20gb");
  EXPECT_EQ(profile("256", "training"), "7g.40gb");
  EXPECT_EQ(profile("8192", "inference"), nullptr);
}

// The equation is of the A100 with 40 GB, and by the names' gigabytes.
TEST_F(Graph, ThePapersRuleLeavesNothingToTheDriver) {
  const auto profile = [&](const std::string& rule) {
    const Ran ran = graph({file(classifier().bytes()), "--input", "32x32", "--context-mib", "4900",
                           "--headroom", "0", "--rule", rule, "--json"});
    EXPECT_EQ(ran.code, kDone) << ran.err;
    return json::parse(ran.out)["mig_profile"];
  };
  EXPECT_EQ(profile("dippm"), "1g.5gb");
  EXPECT_EQ(profile("fit"), "1g.10gb");
}

TEST_F(Graph, PrintsAsATable) {
  const Ran ran = graph({file(classifier().bytes()), "--input", "32x32"});
  ASSERT_EQ(ran.code, kDone) << ran.err;
  EXPECT_THAT(ran.out, StartsWith("model    4 operators"));
  EXPECT_THAT(ran.out, HasSubstr("<- enough"));
}

TEST_F(Graph, ACardWithoutSlicesHasNone) {
  const Ran ran =
      graph({file(classifier().bytes()), "--input", "32x32", "--gpu", "rtx-4090", "--json"});
  ASSERT_EQ(ran.code, kDone) << ran.err;
  EXPECT_EQ(json::parse(ran.out)["mig_profile"], nullptr);
  EXPECT_EQ(json::parse(ran.out)["fits"], json::object());
}

// Without a daemon nobody knows which types a partition has.
TEST_F(Graph, TheDryRunAsksItOfTheModelThatAJobNames) {
  const std::string model = file(classifier().bytes());
  const auto dry_run = [&](const std::string& folders, const std::string& words) {
    fixtures::write_file(folder_ / "auspex.yaml",
                         "model: /nowhere\nsocket: /nowhere\nmig: {mode: apply, model_dirs: [" +
                             folders + "], partitions: {gpu: a100-40gb}}\n");
    fixtures::write_file(folder_ / "job.sh", "#!/bin/sh\n#AUSPEX model=" + words + "\n");
    const Ran ran = run_auspex({"dry-run", "--json", "--config", folder_ / "auspex.yaml", "-p",
                                "gpu", "--gres=gpu:1", folder_ / "job.sh"});
    EXPECT_EQ(ran.code, kDone) << ran.err;
    return json::parse(ran.out);
  };
  const json said = dry_run(folder_.path(), model + " batch=32 input=224x224 mode=inference");
  EXPECT_EQ(said["slice"]["why"], "types-unknown");
  EXPECT_EQ(said["dippm"]["mig_profile"], "1g.5gb");
  EXPECT_GT(said["dippm"]["memory_upper_mib"], said["dippm"]["memory_mib"]);
  EXPECT_EQ(said["decision"]["gres"]["applied"], "gres/gpu:1");
  const auto refusal = [&](const std::string& folders, const std::string& words) -> std::string {
    const json refused = dry_run(folders, words);
    EXPECT_EQ(refused["slice"]["why"], "refused");
    EXPECT_EQ(refused["dippm"], nullptr);
    return refused["decision"]["message"];
  };
  EXPECT_EQ(refusal("/usr", model + " batch=1"),
            "auspex: model.onnx: no advice: it lies outside mig.model_dirs");
  EXPECT_EQ(refusal(folder_.path(), model + "x batch=1"),
            "auspex: model.onnxx: no advice: No such file or directory");
  EXPECT_EQ(refusal(folder_.path(), model), "auspex: model.onnx: no advice: batch=N is not said");
  EXPECT_THAT(refusal(folder_.path(), model + " batch=1"), HasSubstr("dimension 'height' is open"));
}

TEST_F(Graph, WhatIsWrongIsSaidInALine) {
  const std::string model = file(classifier().bytes());
  const auto error = [&](std::vector<std::string> words) {
    const Ran ran = graph(std::move(words));
    EXPECT_EQ(ran.code, kBad) << ran.out;
    EXPECT_EQ(ran.out, "");
    return ran.err;
  };
  EXPECT_THAT(error({model}), HasSubstr("input 'x': dimension 'height' is open; give input="));
  EXPECT_THAT(error({model, "--input", "224y224"}),
              HasSubstr("input: '224y224' is no shape such as 3x224x224"));
  EXPECT_THAT(error({model, "--gpu", "a100"}),
              HasSubstr("--gpu: 'a100' is not known; allowed: a100-40gb"));
  EXPECT_THAT(error({model, "--batch", "0"}), HasSubstr("--batch"));
  EXPECT_THAT(error({folder_ / "none.onnx"}), HasSubstr("none.onnx: No such file or directory"));
}

TEST_F(Graph, OfStrangeFilesItSaysWhatTheyAre) {
  const auto error = [&](const std::string& path) {
    const Ran ran = graph({path, "--input", "8x8"});
    EXPECT_EQ(ran.code, kBad) << ran.out;
    return ran.err;
  };
  EXPECT_THAT(error(file("#!/bin/bash\nsleep 1\n")), HasSubstr("not an ONNX model"));
  EXPECT_THAT(error(folder_.path()), HasSubstr("not a regular file"));
  EXPECT_THAT(error("/dev/zero"), HasSubstr("not a regular file"));
  ASSERT_EQ(mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_THAT(error(folder_ / "fifo"), HasSubstr("not a regular file"));
  // As long as a file of ten gigabytes with its weights inside.
  ASSERT_EQ(truncate(file("").c_str(), off_t{10} << 30), 0);
  EXPECT_THAT(error(folder_ / "model.onnx"), HasSubstr("more than 2 GiB"));
}

TEST_F(Graph, WithoutKnowledgeThereIsNoAnswer) {
  OnnxModel model;
  model.input("x", {"batch", 8}).node("Frobnicate", {"x"}, {"y"}).output("y");
  const Ran ran = graph({file(model.bytes())});
  EXPECT_EQ(ran.code, kNo);
  EXPECT_THAT(ran.err, HasSubstr("no answer: 100 % of it are operators of which nothing is known: "
                                 "Frobnicate"));
}

}  // namespace
}  // namespace auspex::cli
