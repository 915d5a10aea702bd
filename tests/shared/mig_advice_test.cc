// SPDX-License-Identifier: Apache-2.0
// Which slice a job gets for the model that it names, and when it keeps what it asks for.
#include "shared/mig_advice.h"

#include <gmock/gmock.h>

#include "shared/audit.h"
#include "shared/policy.h"

namespace auspex {
namespace {

using testing::HasSubstr;

// On a partition of A100s with 40 GB: slices 1g.5gb 1g.10gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb.
struct Case {
  Submission submission;
  Config config;
  Site site;
  ModelAnswer answer = {ModelNeed{3000, 3000, 10, 1, {10, 10, 10, 10, 10, 10}}, ""};

  Case() {
    submission.partition = "gpu";
    submission.work_dir = "/home/ada";
    submission.tres_per_node = "gres:gpu:1";
    submission.script = "#!/bin/sh\n#AUSPEX model=net.onnx batch=8\n";
    config.mode = Mode::kObserve;
    config.mig.mode = MigMode::kApply;
    config.mig.model_dirs = {"/home"};
    config.mig.partitions = {{"gpu", "a100-40gb"}};
    site.partitions = {{"gpu", 600, {}, true, {"1g.5gb", "2g.10gb", "3g.20gb", "7g.40gb"}}};
  }
  MigQuestion asked() const { return terms_of(submission, config, site).slice; }
  Decision decided(const Prediction* prediction = nullptr) const {
    Terms terms = terms_of(submission, config, site);
    terms.slice.answer = &answer;
    return decide(submission, terms, prediction, config, site);
  }
  Case& needs(double memory_mib) {
    answer.need->memory_mib = answer.need->memory_upper_mib = memory_mib;
    return *this;
  }
};

TEST(MigAdvice, AsksForTheSmallestSliceThatFits) {
  const Decision d = Case().decided();
  EXPECT_EQ(d.mig.why, MigWhy::kApplied);
  EXPECT_EQ(d.mig.profile, "1g.5gb");
  EXPECT_EQ(d.mig.card, "a100-40gb");
  EXPECT_EQ(d.mig.headroom, 0.10);
  EXPECT_EQ(d.edits.tres_per_node, "gres:gpu:1g.5gb:1");
  EXPECT_EQ(d.edits.message,
            "auspex: net.onnx needs about 3 GiB, at most 3 GiB, of the 4.8 GiB of a 1g.5gb: gpu:1 "
            "-> gpu:1g.5gb:1");
  EXPECT_EQ(d.edits.admin_comment,
            "auspex-mig:1 asked=gres:gpu:1 applied=gres:gpu:1g.5gb:1 memory=3000");
  EXPECT_FALSE(d.edits.time_limit_min || d.edits.tres_per_job || d.edits.tres_per_task);
}

TEST(MigAdvice, HeadroomStaysFree) {
  Case c;
  c.config.mig.headroom = 0.10;
  c.needs(4.75 * 1024 / 1.1);
  EXPECT_EQ(c.decided().mig.profile, "1g.5gb");
  c.needs(4.75 * 1024 / 1.1 + 1);
  EXPECT_EQ(c.decided().mig.profile, "2g.10gb");
  c.config.mig.headroom = 0;
  EXPECT_EQ(c.decided().mig.profile, "1g.5gb");
}

TEST(MigAdvice, WhatOneOfAHundredNeedsFits) {
  Case c;
  c.answer.need->memory_upper_mib = 5000;
  EXPECT_EQ(c.decided().mig.profile, "2g.10gb");
  EXPECT_THAT(*c.decided().edits.message, HasSubstr("needs about 3 GiB, at most 4.9 GiB, of the"));
}

TEST(MigAdvice, ALargerOneThanAllIsTold) {
  const Decision d = Case().needs(50'000).decided();
  EXPECT_EQ(d.mig.why, MigWhy::kNoSlice);
  EXPECT_EQ(d.edits.message,
            "auspex: net.onnx needs about 48.9 GiB, at most 48.9 GiB, more than any slice here has "
            "to spare");
  EXPECT_FALSE(d.edits.tres_per_node);
}

TEST(MigAdvice, OnlyTypesThatThePartitionHas) {
  Case c;
  c.site.partitions[0].gpu_types = {"7g.40gb"};
  EXPECT_EQ(c.decided().mig.profile, "7g.40gb");
  // As NVML names them.
  c.site.partitions[0].gpu_types = {"nvidia_a100_2g.10gb", "nvidia_a100_1g.5gb"};
  EXPECT_EQ(c.decided().edits.tres_per_node, "gres:gpu:nvidia_a100_1g.5gb:1");
  // As the site says it does; another type of that name is none.
  c.config.mig.types = {{"1g.5gb", "small"}};
  EXPECT_EQ(c.decided().mig.type, "nvidia_a100_2g.10gb");
  c.site.partitions[0].gpu_types = {"small"};
  EXPECT_EQ(c.decided().mig.type, "small");
  c.site.partitions[0].gpu_types = {"a100"};  // whole cards
  EXPECT_EQ(c.decided().mig.why, MigWhy::kTypesUnknown);
  EXPECT_EQ(c.decided().edits, Edits{});
}

TEST(MigAdvice, WhereTheTypesAreNotKnownNothingIsChanged) {
  Case c;
  c.site.partitions[0].gpu_types = {};
  EXPECT_EQ(c.decided().mig.why, MigWhy::kTypesUnknown);
  EXPECT_EQ(c.decided().mig.profile, "1g.5gb");
  EXPECT_EQ(c.decided().edits, Edits{});
  c.site = {};
  EXPECT_EQ(c.decided().mig.why, MigWhy::kTypesUnknown);
}

TEST(MigAdvice, OfSeveralPartitionsTheTypesOfAll) {
  Case c;
  c.submission.partition = "gpu,long";
  EXPECT_EQ(c.decided().mig.why, MigWhy::kNoCard);
  c.config.mig.partitions["long"] = "a100-40gb";
  c.site.partitions.push_back({"long", 600, {}, false, {"2g.10gb", "7g.40gb"}});
  EXPECT_EQ(c.decided().mig.profile, "2g.10gb");
  c.config.mig.partitions["long"] = "h100-80gb";
  EXPECT_EQ(c.decided().mig.why, MigWhy::kNoCard);
  c.submission.partition = "";  // the default
  EXPECT_EQ(c.decided().mig.profile, "1g.5gb");
}

TEST(MigAdvice, MoreComputeOnlyWhereAStepGainsByIt) {
  Case c;
  c.site.partitions[0].gpu_types = {"1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb"};
  c.answer.need->slice_ms = {70, 70, 64, 24, 18, 10};
  EXPECT_EQ(c.decided().mig.profile, "1g.10gb");
  c.answer.need->slice_ms = {70, 70, 35, 24, 18, 10};
  EXPECT_EQ(c.decided().mig.profile, "2g.10gb");
  EXPECT_EQ(c.needs(10'000).decided().mig.profile, "4g.20gb");
}

TEST(MigAdvice, AdviseOnlyTells) {
  Case c;
  c.config.mig.mode = MigMode::kAdvise;
  const Decision d = c.decided();
  EXPECT_EQ(d.mig.why, MigWhy::kAdvised);
  EXPECT_EQ(d.edits.message,
            "auspex: net.onnx needs about 3 GiB, at most 3 GiB, of the 4.8 GiB of a 1g.5gb: "
            "--gres=gpu:1g.5gb:1 would do");
  EXPECT_FALSE(d.edits.tres_per_node || d.edits.admin_comment);
}

TEST(MigAdvice, EveryWayToAskForOneGpu) {
  for (const char* one : {"gres:gpu:1", "gres/gpu:1", "gpu:1", "gpu", "gres:gpu", "gres/gpu=1",
                          "gres:nic:2,gres:gpu:1"}) {
    Case c;
    c.submission.tres_per_node = one;
    const std::string typed = *c.decided().edits.tres_per_node;
    EXPECT_THAT(typed, HasSubstr("gpu:1g.5gb")) << one;
    Submission changed = c.submission;
    changed.tres_per_node = typed;
    EXPECT_EQ(requested_resources(changed).gpu_type, "1g.5gb") << typed;
    EXPECT_EQ(requested_resources(changed).gpus, 1) << typed;
  }
  Case c;
  c.submission.tres_per_node = "";
  c.submission.tres_per_job = "gres:gpu:1";
  EXPECT_EQ(c.decided().edits.tres_per_job, "gres:gpu:1g.5gb:1");
  c.submission.tres_per_job = "";
  c.submission.tres_per_task = "gres:gpu:1";
  EXPECT_EQ(c.decided().edits.tres_per_task, "gres:gpu:1g.5gb:1");
}

TEST(MigAdvice, WhatIsNotOneUntypedGpuStays) {
  const auto why = [](auto change) {
    Case c;
    change(c.submission);
    EXPECT_EQ(c.decided().edits, Edits{});
    return c.decided().mig.why;
  };
  EXPECT_EQ(why([](Submission& s) { s.tres_per_node = "gres:gpu:7g.40gb:1"; }), MigWhy::kTyped);
  EXPECT_EQ(why([](Submission& s) { s.tres_per_node = "gres:gpu:2"; }), MigWhy::kNotOneGpu);
  EXPECT_EQ(why([](Submission& s) { s.tres_per_node = ""; }), MigWhy::kNotOneGpu);
  EXPECT_EQ(why([](Submission& s) { s.min_nodes = 2; }), MigWhy::kNotOneGpu);
  EXPECT_EQ(why([](Submission& s) { s.max_nodes = 2; }), MigWhy::kNotOneGpu);
  EXPECT_EQ(why([](Submission& s) { s.tres_per_job = "gres:gpu:1"; }), MigWhy::kNotOneGpu);
  EXPECT_EQ(why([](Submission& s) {
              s.tres_per_node = "";
              s.tres_per_task = "gres:gpu:1";
              s.num_tasks = 4;
            }),
            MigWhy::kNotOneGpu);
}

TEST(MigAdvice, NothingIsAskedWhereTheAnswerWouldChangeNothing) {
  const auto why = [](auto change) {
    Case c;
    change(c);
    EXPECT_FALSE(c.asked().run);
    EXPECT_EQ(c.decided().edits, Edits{});
    return c.asked().why;
  };
  EXPECT_EQ(why([](Case& c) { c.submission.script = "#!/bin/sh\n"; }), MigWhy::kNoModel);
  EXPECT_EQ(why([](Case& c) { c.submission.environment = {"AUSPEX=off"}; }), MigWhy::kNoModel);
  EXPECT_EQ(why([](Case& c) { c.config.mig.mode = MigMode::kOff; }), MigWhy::kOff);
  EXPECT_EQ(why([](Case& c) { c.config.mig.model_dirs = {}; }), MigWhy::kOff);
  EXPECT_EQ(why([](Case& c) { c.config.mig.partitions = {}; }), MigWhy::kNoCard);
  EXPECT_EQ(why([](Case& c) { c.submission.partition = "cpu"; }), MigWhy::kNoCard);
}

TEST(MigAdvice, ARuleThatIsOffLeavesAllAlone) {
  Case c;
  c.config.mode = Mode::kOff;
  EXPECT_FALSE(c.asked().run) << "nobody reads it for nothing";
  EXPECT_EQ(c.decided().edits, Edits{});
  EXPECT_EQ(c.decided().mig.why, MigWhy::kNoModel);
}

TEST(MigAdvice, AsksWhatTheDirectivesSay) {
  Case c;
  c.config.mig.context_mib = 700;
  EXPECT_EQ(c.asked().run, (ModelRun{.path = "/home/ada/net.onnx",
                                     .card = "a100-40gb",
                                     .input = "",
                                     .mode = "training",
                                     .format = "tf32",
                                     .optimizer = "adam",
                                     .batch = 8,
                                     .context_mib = 700}));
  // Nothing is made up where it would be too little.
  c.submission.script = "#AUSPEX model=net.onnx\n";
  EXPECT_EQ(c.asked().run->batch, 0U);
  c.submission.script = "#AUSPEX model=/m/n.onnx input=3x32x32 mode=inference format=half\n";
  c.submission.environment = {"AUSPEX_OPTIMIZER=sgd", "AUSPEX_BATCH=2"};
  EXPECT_EQ(c.asked().run, (ModelRun{.path = "/m/n.onnx",
                                     .card = "a100-40gb",
                                     .input = "3x32x32",
                                     .mode = "inference",
                                     .format = "half",
                                     .optimizer = "sgd",
                                     .batch = 2,
                                     .context_mib = 700}));
}

TEST(MigAdvice, NoAnswerYetIsNoAdvice) {
  const Case c;
  const Decision d = decide(c.submission, nullptr, c.config, c.site);
  EXPECT_EQ(d.mig.why, MigWhy::kNotRead);
  EXPECT_EQ(d.edits, Edits{});
}

TEST(MigAdvice, ARefusalIsToldInOneLine) {
  Case c;
  c.submission.script = "#AUSPEX model=sub/strange\x01name.onnx\n";
  c.answer = {std::nullopt, "not an ONNX\nmodel"};
  EXPECT_EQ(c.decided().mig.why, MigWhy::kRefused);
  EXPECT_EQ(c.decided().edits.message, "auspex: strange?name.onnx: no advice: not an ONNX?model");
  EXPECT_FALSE(c.decided().edits.tres_per_node);
}

TEST(MigAdvice, StandsBehindWhatIsSaidOfTheLimit) {
  Case c;
  c.config.mode = Mode::kHard;
  c.config.limits = {.floor_min = 10, .round_min = 5, .margin = 1.0};
  c.submission.time_limit_min = 500;
  Prediction prediction;
  prediction.quantiles_s.fill(6000);
  prediction.model = "1f3a0b2c";
  const Decision d = c.decided(&prediction);
  EXPECT_EQ(d.edits.time_limit_min, 100U);
  EXPECT_EQ(d.edits.tres_per_node, "gres:gpu:1g.5gb:1");
  EXPECT_THAT(*d.edits.message, HasSubstr("(keep yours with: #AUSPEX off); net.onnx needs about"));
  // The guard still finds its own words.
  const auto audit = find_audit(*d.edits.admin_comment);
  ASSERT_TRUE(audit);
  EXPECT_EQ(audit->applied_min, 100U);
  EXPECT_THAT(with_audit(*d.edits.admin_comment, *audit),
              HasSubstr(" auspex-mig:1 asked=gres:gpu:1 "));
}

TEST(MigAdvice, EveryReasonHasItsName) {
  for (size_t i = 0; i < kMigWhyCount; ++i) {
    const auto why = static_cast<MigWhy>(i);
    EXPECT_EQ(mig_why_named(mig_why_name(why)), why);
  }
  EXPECT_FALSE(mig_why_named(""));
  EXPECT_FALSE(mig_why_named("small"));
}

TEST(GpuTypes, OfANode) {
  using testing::ElementsAre;
  EXPECT_THAT(gpu_types_of("gpu:1g.5gb:4(S:0),gpu:2g.10gb:2,gpu:1g.5gb:1,nic:2"),
              ElementsAre("1g.5gb", "2g.10gb"));
  EXPECT_THAT(gpu_types_of("gpu:nvidia_a100_3g.20gb:2(S:0-1)"), ElementsAre("nvidia_a100_3g.20gb"));
  EXPECT_THAT(gpu_types_of("gpu:2"), ElementsAre());
  EXPECT_THAT(gpu_types_of("gpu"), ElementsAre());
  EXPECT_THAT(gpu_types_of(""), ElementsAre());
  EXPECT_THAT(gpu_types_of("gpu:,gpu::3,gpu:(S:0)"), ElementsAre());
}

}  // namespace
}  // namespace auspex
