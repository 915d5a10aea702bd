// SPDX-License-Identifier: Apache-2.0
// What a model needs, against sums by hand and what others measured.
#include "graph/estimate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graph/gpu.h"
#include "shared/mig.h"
#include "tests/graph/read_graph.h"

namespace auspex {
namespace {

using fixtures::graph_of;
using fixtures::image;
using fixtures::OnnxModel;
using fixtures::residual;

constexpr uint64_t kMiB = uint64_t{1} << 20;

// Results of 4 MiB: each is a block of a 20 MiB segment.
OnnxModel chain(const std::vector<const char*>& types) {
  OnnxModel model = image({"batch", 16, 256, 256});
  std::string last = "x";
  for (size_t i = 0; i < types.size(); ++i) {
    const std::string next = "t" + std::to_string(i);
    model.node(types[i], {last}, {next});
    last = next;
  }
  return model.output(last);
}

uint64_t most_of(const OnnxModel& model, RunMode mode) {
  return memory_use(graph_of(model), {mode, NumberFormat::kFp32, Optimizer::kSgd}).most;
}

TEST(Memory, ForInferenceAResultIsGoneWhenItsLastReaderHasRun) {
  EXPECT_EQ(most_of(chain({"Sigmoid"}), RunMode::kInference), 8 * kMiB);
  EXPECT_EQ(most_of(chain({"Sigmoid", "Tanh"}), RunMode::kInference), 12 * kMiB);
  EXPECT_EQ(most_of(chain({"Sigmoid", "Tanh", "Sigmoid", "Tanh"}), RunMode::kInference), 12 * kMiB);
}

TEST(Memory, WhatAGradientNeedsIsKept) {
  EXPECT_EQ(most_of(chain({"Sigmoid", "Tanh", "Sigmoid", "Tanh"}), RunMode::kGraphKept), 20 * kMiB);
  // A sine's gradient needs its input; a sum's needs nothing.
  EXPECT_EQ(most_of(chain({"Sin", "Sin", "Sin"}), RunMode::kGraphKept), 16 * kMiB);
  EXPECT_EQ(most_of(image({"batch", 16, 256, 256})
                        .node("Sin", {"x"}, {"a"})
                        .node("Neg", {"x"}, {"b"})
                        .node("Sub", {"a", "b"}, {"c"})
                        .node("Sub", {"c", "b"}, {"d"})
                        .output("d"),
                    RunMode::kGraphKept),
            16 * kMiB);
}

TEST(Memory, ReluTakesNoneOfItsOwnWhereNobodyElseReads) {
  EXPECT_EQ(most_of(chain({"Sin", "Relu"}), RunMode::kInference), 8 * kMiB);
  // tanh's own result is what its gradient needs.
  EXPECT_EQ(most_of(chain({"Tanh", "Relu"}), RunMode::kGraphKept), 12 * kMiB);
}

TEST(Memory, ASliceLooksAtWhatItIsCutFrom) {
  const auto model = [] {
    return image({"batch", 16, 256, 256})
        .node("Sigmoid", {"x"}, {"s"})
        .node("Split", {"s"}, {"a", "b"}, {{"axis", 1}})
        .node("Tanh", {"a"}, {"c"})
        .output("c");
  };
  EXPECT_EQ(most_of(model(), RunMode::kInference), 10 * kMiB);
}

TEST(Memory, TrainingHoldsGradientsAndWhatTheOptimizerKeeps) {
  const OnnxModel model =
      image({1, 1024}).weight("w", {1024, 1024}).node("MatMul", {"x", "w"}, {"y"}).output("y");
  const OperatorGraph graph = graph_of(model);
  const auto weights = [&](RunMode mode, Optimizer optimizer) {
    return memory_use(graph, {mode, NumberFormat::kFp32, optimizer}).weights / kMiB;
  };
  EXPECT_EQ(weights(RunMode::kInference, Optimizer::kAdam), 4);
  EXPECT_EQ(weights(RunMode::kTraining, Optimizer::kSgd), 8);
  EXPECT_EQ(weights(RunMode::kTraining, Optimizer::kMomentum), 12);
  EXPECT_EQ(weights(RunMode::kTraining, Optimizer::kAdam), 16);
}

// In the order of an optimizer's step: results, gradients of results, gradients of weights, roots.
TEST(Memory, AdamTakesAsMuchAgainForAMoment) {
  const OperatorGraph graph = graph_of(
      image({1, 1024}).weight("w", {1024, 1024}).node("MatMul", {"x", "w"}, {"y"}).output("y"));
  const auto most = [&](Optimizer optimizer) {
    return memory_use(graph, {RunMode::kTraining, NumberFormat::kFp32, optimizer}).most / kMiB;
  };
  EXPECT_EQ(most(Optimizer::kSgd), 8);
  EXPECT_EQ(most(Optimizer::kMomentum), 12);
  EXPECT_EQ(most(Optimizer::kAdam), 20);
}

TEST(Memory, HalfTakesHalf) {
  const OperatorGraph graph = graph_of(chain({"Sigmoid", "Tanh"}));
  EXPECT_EQ(memory_use(graph, {RunMode::kInference, NumberFormat::kHalf, {}}).most, 6 * kMiB);
}

// As PyTorch's exporter writes scaled_dot_product_attention.
OnnxModel fused_attention() {
  return image({"batch", 4, 512, 64})
      .scalar("root", 0.35F)
      .node("Sin", {"x"}, {"q"})
      .node("Cos", {"x"}, {"k"})
      .node("Transpose", {"k"}, {"kt"}, {{"perm", OnnxModel::Dims{0, 1, 3, 2}}})
      .node("Mul", {"q", "root"}, {"qs"})
      .node("Mul", {"kt", "root"}, {"ks"})
      .node("MatMul", {"qs", "ks"}, {"scores"})
      .node("Softmax", {"scores"}, {"p"}, {{"axis", -1}})
      .node("MatMul", {"p", "k"}, {"y"})
      .output("y");
}

TEST(Memory, FusedAttentionNeverWritesItsWeights) {
  const OperatorGraph graph = graph_of(fused_attention(), {32, {}});
  ASSERT_EQ(graph.nodes.size(), 3);
  EXPECT_EQ(graph.nodes[2].op, Operator::kAttention);
  EXPECT_EQ(graph.nodes[2].macs, 2 * uint64_t{32} * 4 * 512 * 512 * 64);
  // x, q, k and y of 16 MiB each; the scores would take 128.
  EXPECT_EQ(memory_use(graph, {}).most, 64 * kMiB);
}

TEST(Memory, EachThreadThatMultipliesHasAWorkspace) {
  const OperatorGraph graph = graph_of(
      image({1, 1024}).weight("w", {1024, 1024}).node("MatMul", {"x", "w"}, {"y"}).output("y"));
  const auto more = [&](RunMode mode) {
    const RunConfig config = {mode, NumberFormat::kFp32, Optimizer::kSgd};
    return memory_use(graph, config, 32 * kMiB).most - memory_use(graph, config).most;
  };
  EXPECT_EQ(more(RunMode::kInference), 32 * kMiB);
  EXPECT_EQ(more(RunMode::kTraining), 64 * kMiB);
  const OperatorGraph none = graph_of(chain({"Sigmoid"}));
  EXPECT_EQ(memory_use(none, {}, 32 * kMiB).most, memory_use(none, {}).most);
}

// Weights stay in FP32, a half copy of them and of what they are multiplied with is kept for
// gradients.
TEST(Memory, AutocastHoldsWeightsTwice) {
  const OperatorGraph graph = graph_of(
      image({1, 1024}).weight("w", {1024, 1024}).node("MatMul", {"x", "w"}, {"y"}).output("y"));
  const MemoryUse full = memory_use(graph, {RunMode::kTraining, NumberFormat::kFp32, {}});
  const MemoryUse half = memory_use(graph, {RunMode::kTraining, NumberFormat::kHalf, {}});
  EXPECT_EQ(half.weights, full.weights);
  const RunConfig sgd = {RunMode::kTraining, NumberFormat::kHalf, Optimizer::kSgd};
  EXPECT_EQ(memory_use(graph, sgd).most / kMiB, 4 + 2 + 2 + 4);  // and the gradient, twice
}

TEST(Memory, WeightsThatAreTiedLieThereOnce) {
  const OperatorGraph graph = graph_of(image({1, 1024})
                                           .weight("w", {1024, 1024})
                                           .node("MatMul", {"x", "w"}, {"y"})
                                           .node("MatMul", {"y", "w"}, {"z"})
                                           .output("z"));
  EXPECT_EQ(memory_use(graph, {}).weights, 4 * kMiB);
}

TEST(Memory, TensorCoresBringImagesIntoTheirOrder) {
  const OperatorGraph graph =
      graph_of(image({"batch", 16, 256, 256})
                   .weight("w", {16, 16, 3, 3})
                   .node("Conv", {"x", "w"}, {"y"}, {{"pads", OnnxModel::Dims{1, 1, 1, 1}}})
                   .output("y"));
  RunConfig config;
  const uint64_t plain = memory_use(graph, config).most;
  config.format = NumberFormat::kTf32;
  EXPECT_EQ(memory_use(graph, config).most, plain + 8 * kMiB);
  config.channels_last = true;
  EXPECT_EQ(memory_use(graph, config).most, plain);
}

TEST(Work, IsCountedByKinds) {
  const OperatorGraph graph = graph_of(residual(), {2, {}});
  const Work work = work_of(graph);
  EXPECT_EQ(work.macs[static_cast<size_t>(Product::kConvolution)], 2 * 16 * 64 * 27);
  EXPECT_EQ(work.elements[static_cast<size_t>(Traffic::kImages)], 2 * 64 * (3 + 16));
  EXPECT_EQ(work.elements[static_cast<size_t>(Traffic::kActivation)], 2 * 64 * 16 * 2);
  EXPECT_EQ(work.elements[static_cast<size_t>(Traffic::kArithmetic)], 2 * 64 * 16 * 3);
  EXPECT_EQ(work.elements[static_cast<size_t>(Traffic::kBatchNorm)], 2 * 64 * 16 * 2);
  EXPECT_EQ(work.tasks.size(), 4);
}

OperatorGraph attention_of(std::initializer_list<OnnxModel::Dim> shape,
                           const OnnxModel::Dims& turn) {
  return graph_of(image(shape)
                      .scalar("scale", 0.35F)
                      .node("Sin", {"x"}, {"q"})
                      .node("Cos", {"x"}, {"k"})
                      .node("Transpose", {"k"}, {"kt"}, {{"perm", turn}})
                      .node("MatMul", {"q", "kt"}, {"scores"})
                      .node("Mul", {"scores", "scale"}, {"scaled"})
                      .node("Softmax", {"scaled"}, {"p"}, {{"axis", -1}})
                      .node("MatMul", {"p", "k"}, {"y"})
                      .output("y"));
}

TEST(Work, AttentionIsOneKernel) {
  const Work work = work_of(attention_of({"batch", 4, 10, 8}, {0, 1, 3, 2}));
  EXPECT_EQ(work.tasks.size(), 3);  // sine, cosine, attention
  EXPECT_EQ(work.macs[static_cast<size_t>(Product::kBatched)], 2 * 4 * 10 * 10 * 8);
  EXPECT_EQ(work.elements[static_cast<size_t>(Traffic::kNorm)], 0);
}

// Windows of an image, with their heads.
TEST(Work, AttentionOfMoreDimensionsIsSeveral) {
  const Work work = work_of(attention_of({"batch", 3, 4, 10, 8}, {0, 1, 2, 4, 3}));
  EXPECT_EQ(work.macs[static_cast<size_t>(Product::kBatched)], 2 * 3 * 4 * 10 * 10 * 8);
  EXPECT_EQ(work.elements[static_cast<size_t>(Traffic::kNorm)], 2 * 3 * 4 * 10 * 10);
}

// As PyTorch's exporter writes its one function.
TEST(Work, SoIsThatOfOneFunctionWhereNoKernelOfItTakesTheShape) {
  const Work work = work_of(
      graph_of(image({1, 3, 4, 10, 8})
                   .scalar("s", 0.6F)
                   .node("Sin", {"x"}, {"q0"})
                   .node("Cos", {"x"}, {"k0"})
                   .node("Mul", {"q0", "s"}, {"q"})
                   .node("Transpose", {"k0"}, {"kt"}, {{"perm", OnnxModel::Dims{0, 1, 2, 4, 3}}})
                   .node("Mul", {"kt", "s"}, {"k"})
                   .node("MatMul", {"q", "k"}, {"scores"})
                   .node("Softmax", {"scores"}, {"p"}, {{"axis", -1}})
                   .node("MatMul", {"p", "k0"}, {"y"})
                   .output("y")));
  EXPECT_EQ(work.macs[static_cast<size_t>(Product::kBatched)], 2 * 3 * 4 * 10 * 10 * 8);
  EXPECT_EQ(work.elements[static_cast<size_t>(Traffic::kNorm)], 2 * 3 * 4 * 10 * 10);
  EXPECT_EQ(work.tasks.size(), 2 + 4);
}

TEST(Estimate, AFasterCardIsFasterAndMoreBatchesAreMore) {
  const OperatorGraph one = graph_of(residual(), {1, {}}), many = graph_of(residual(), {512, {}});
  const Gpu &a100 = *gpu_named("a100-40gb"), &h100 = *gpu_named("h100-80gb");
  EXPECT_LT(estimate(many, h100, {}).latency_ms, estimate(many, a100, {}).latency_ms);
  EXPECT_GT(estimate(many, a100, {}).latency_ms, estimate(one, a100, {}).latency_ms);
  EXPECT_GT(estimate(many, a100, {}).energy_j, estimate(one, a100, {}).energy_j);
  EXPECT_EQ(estimate(one, a100, {}, 500).memory_mib + 1000,
            estimate(one, a100, {}, 1500).memory_mib);
}

TEST(Estimate, KnowsHowMuchItDoesNotKnow) {
  EXPECT_EQ(unknown_share(graph_of(residual())), 0);
  const OperatorGraph half =
      graph_of(image().node("Frobnicate", {"x"}, {"f"}).node("Relu", {"f"}, {"y"}).output("y"));
  EXPECT_DOUBLE_EQ(unknown_share(half), 0.5);
}

TEST(Estimate, WhatOneOfAHundredGoesBeyond) {
  const auto times = [](const OnnxModel& model, NumberFormat format) {
    const RunConfig config = {RunMode::kInference, format, Optimizer::kAdam};
    const Estimate said = estimate(graph_of(model), *gpu_named("h200-141gb"), config, 700);
    return (said.memory_upper_mib - 700) / (said.memory_mib - 700);
  };
  const auto convolution = [](int64_t kernel) {
    return image({"batch", 16, 64, 64})
        .weight("w", {16, 16, kernel, kernel})
        .node("Conv", {"x", "w"}, {"y"})
        .output("y");
  };
  EXPECT_NEAR(times(chain({"Sin"}), NumberFormat::kFp32), 1.45, 1e-6);
  EXPECT_NEAR(times(convolution(1), NumberFormat::kFp32), 1.45, 1e-6);
  EXPECT_NEAR(times(convolution(3), NumberFormat::kTf32), 1.45, 1e-6);
  EXPECT_NEAR(times(convolution(3), NumberFormat::kFp32), 4.4, 1e-6);
}

TEST(Mig, TheSmallestSliceThatFits) {
  const auto fit = [](double mib, std::vector<double> step_ms) -> std::string {
    const auto slices = mig_slices(*mig_card("a100-40gb"), step_ms);
    const MigSlice* slice = smallest_fit(slices, {mib, 0.10, 0});
    return slice ? slice->name : "none";
  };
  const std::vector<double> launches = {10, 10, 10, 10, 10, 10},
                            computing = {70, 70, 35, 23, 18, 10};
  EXPECT_EQ(fit(4.75 * 1024 / 1.1 - 1, launches), "1g.5gb");
  EXPECT_EQ(fit(4.75 * 1024 / 1.1 - 1, computing), "1g.5gb");
  EXPECT_EQ(fit(4.75 * 1024 / 1.1 + 1, launches), "1g.10gb");
  EXPECT_EQ(fit(4.75 * 1024 / 1.1 + 1, computing), "2g.10gb");
  EXPECT_EQ(fit(17'000, launches), "3g.20gb");
  EXPECT_EQ(fit(17'000, computing), "4g.20gb");
  EXPECT_EQ(fit(30'000, launches), "7g.40gb");
  EXPECT_EQ(fit(40'000, computing), "none");
}

TEST(Mig, EquationTwoOfThePaperWithItsGapsClosed) {
  const std::pair<double, const char*> cases[] = {
      {0, "1g.5gb"},   {4.9, "1g.5gb"}, {5, "1g.5gb"},     {5.1, "2g.10gb"},
      {10, "2g.10gb"}, {20, "3g.20gb"}, {20.1, "7g.40gb"}, {40, "7g.40gb"}};
  for (const auto& [gb, profile] : cases) EXPECT_EQ(dippm_profile(gb), profile) << gb;
  EXPECT_FALSE(dippm_profile(40.1));
  EXPECT_FALSE(dippm_profile(-1));
  EXPECT_FALSE(dippm_profile(NAN));
}

TEST(Gpu, EveryCardHasItsSlices) {
  for (const char* const name : {"a100-40gb", "a100-80gb", "a30-24gb", "h100-80gb", "h100-94gb",
                                 "h200-141gb", "b200-180gb", "rtx-pro-6000-96gb"}) {
    const Gpu* gpu = gpu_named(name);
    ASSERT_TRUE(gpu) << name;
    const MigCard* card = mig_card(gpu->mig_card);
    ASSERT_TRUE(card) << name;
    EXPECT_NEAR(card->profiles.back().usable_gib * 1024, gpu->memory_mib, 1) << name;
    double before = 0;
    for (const MigProfile& profile : card->profiles) {
      EXPECT_GE(profile.usable_gib, before) << profile.name;
      before = profile.usable_gib;
    }
  }
  EXPECT_FALSE(gpu_named("a100"));
}

}  // namespace
}  // namespace auspex
