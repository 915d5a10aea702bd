// SPDX-License-Identifier: Apache-2.0
#include "graph/asked_run.h"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

#include "graph/estimate.h"
#include "shared/mig.h"
#include "tests/graph/read_graph.h"

namespace auspex {
namespace {

using fixtures::image;
using testing::ElementsAre;
using testing::HasSubstr;

ModelRun run_of(const std::string& mode) {
  return {"/m", "a100-40gb", "", mode, "fp32", "adam", 4, 500};
}

TEST(AskedRun, TakesTheWordsOfTheCommandLine) {
  ModelRun run = run_of("training");
  run.input = "3x224x224";
  run.format = "half";
  const auto asked = asked_run(run);
  ASSERT_TRUE(asked.ok()) << asked.error().message;
  EXPECT_EQ(asked->input.batch, 4U);
  EXPECT_THAT(asked->input.sample, ElementsAre(3, 224, 224));
  EXPECT_EQ(asked->gpu->name, "a100-40gb");
  EXPECT_EQ(asked->config.mode, RunMode::kTraining);
  EXPECT_EQ(asked->config.format, NumberFormat::kHalf);
  EXPECT_EQ(asked->config.optimizer, Optimizer::kAdam);
}

TEST(AskedRun, SaysWhatIsWrong) {
  const auto complaint = [](auto change) {
    ModelRun run = run_of("training");
    change(run);
    const auto asked = asked_run(run);
    return asked ? "none" : asked.error().message;
  };
  EXPECT_EQ(complaint([](ModelRun& r) { r.mode = "fast"; }),
            "mode=fast is none of inference graph training");
  EXPECT_EQ(complaint([](ModelRun& r) { r.format = ""; }), "format= is none of fp32 tf32 half");
  EXPECT_EQ(complaint([](ModelRun& r) { r.optimizer = "lion"; }),
            "optimizer=lion is none of sgd momentum adam");
  EXPECT_EQ(complaint([](ModelRun& r) { r.card = "gh200-96gb"; }),
            "nothing is known of a gh200-96gb");
  EXPECT_EQ(complaint([](ModelRun& r) { r.batch = 0; }), "batch=N is not said");
  EXPECT_EQ(complaint([](ModelRun& r) { r.batch = 1U << 21; }),
            "batch=2097152 is not from 1 to 1048576");
  for (const char* bad : {"x", "3x", "x3", "3xx4", "0x3", "3y4", "-3", "99999999999"}) {
    EXPECT_THAT(complaint([bad](ModelRun& r) { r.input = bad; }),
                HasSubstr("is no shape such as 3x224x224"))
        << bad;
  }
}

TEST(ModelNeed, IsTheEstimateWithEachSlicesTime) {
  const std::string bytes = image().node("Relu", {"x"}, {"y"}).output("y").bytes();
  const int fd = memfd_create("model", MFD_CLOEXEC);
  ASSERT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  lseek(fd, 0, SEEK_SET);
  const AskedRun asked = *asked_run(run_of("inference"));
  const auto need = model_need(fd, asked, 500);
  close(fd);
  ASSERT_TRUE(need.ok()) << need.error().message;
  const Estimate said =
      estimate(fixtures::graph_of(image().node("Relu", {"x"}, {"y"}).output("y"), {4, {}}),
               *asked.gpu, asked.config, 500);
  EXPECT_EQ(need->memory_mib, said.memory_mib);
  EXPECT_EQ(need->memory_upper_mib, said.memory_upper_mib);
  EXPECT_EQ(need->energy_j, said.energy_j);
  EXPECT_EQ(need->slice_ms.size(), mig_slices(*mig_card("a100-40gb")).size());
  EXPECT_EQ(need->slice_ms.back(), said.latency_ms);
}

// By hand: a seventh of the compute takes a product seven times as long.
TEST(ModelNeed, AProductTakesAsMuchLongerAsASliceHasLess) {
  const OperatorGraph graph = fixtures::graph_of(fixtures::OnnxModel()
                                                     .input("x", {"batch", 8192})
                                                     .weight("w", {8192, 8192})
                                                     .node("MatMul", {"x", "w"}, {"y"})
                                                     .output("y"),
                                                 {65536, {}});
  const auto slices = slice_latencies_ms(graph, *gpu_named("a100-40gb"), {});
  ASSERT_EQ(slices.size(), 6U);
  EXPECT_NEAR(slices[0] / slices[5], 7, 0.1);
  EXPECT_NEAR(slices[3] / slices[5], 7.0 / 3, 0.05);
  EXPECT_TRUE(slice_latencies_ms(graph, *gpu_named("rtx-4090"), {}).empty());
}

TEST(NoAnswer, WhereTooMuchIsUnknown) {
  const auto why = [](int unknown) {
    auto model = image().node("Relu", {"x"}, {"y0"});
    for (int i = 0; i < unknown; ++i) {
      model.node("Sigmoid", {"y" + std::to_string(i)}, {"y" + std::to_string(i + 1)});
    }
    OperatorGraph graph = fixtures::graph_of(model.output("y" + std::to_string(unknown)));
    for (size_t i = 1; i < graph.nodes.size(); ++i) graph.nodes[i].op = Operator::kUnknown;
    graph.unknown = {"Strange"};
    return no_answer(graph);
  };
  EXPECT_EQ(why(0), std::nullopt);
  EXPECT_EQ(why(1), "no answer: 50 % of it are operators of which nothing is known: Strange");
}

}  // namespace
}  // namespace auspex
