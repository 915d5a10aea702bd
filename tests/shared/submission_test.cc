// SPDX-License-Identifier: Apache-2.0
#include "shared/submission.h"

#include <gtest/gtest.h>

namespace auspex {
namespace {

Resources with(void (*fill)(Submission&)) {
  Submission s;
  fill(s);
  return requested_resources(s);
}

TEST(RequestedResources, DefaultsAreOneOfEach) {
  const Resources r = requested_resources({});
  EXPECT_EQ(r.cpus, 1);
  EXPECT_EQ(r.nodes, 1);
  EXPECT_EQ(r.gpus, 0);
  EXPECT_EQ(r.array_tasks, 1);
  EXPECT_FALSE(r.memory_per_cpu_mib);
}

TEST(RequestedResources, CpusAreWhateverAsksForMost) {
  EXPECT_EQ(with([](Submission& s) {
              s.num_tasks = 4;
              s.cpus_per_task = 3;
            }).cpus,
            12);
  EXPECT_EQ(with([](Submission& s) {
              s.num_tasks = 4;
              s.min_cpus = 16;
            }).cpus,
            16);
  EXPECT_EQ(with([](Submission& s) {
              s.min_nodes = 3;
              s.pn_min_cpus = 5;
            }).cpus,
            15);
  EXPECT_EQ(with([](Submission& s) {
              s.min_nodes = 2;
              s.ntasks_per_node = 4;
              s.cpus_per_task = 2;
            }).cpus,
            16);
}

TEST(RequestedResources, MemoryIsPerCpu) {
  EXPECT_EQ(with([](Submission& s) {
              s.memory_per_cpu_mib = 500;
              s.min_cpus = 4;
            }).memory_per_cpu_mib,
            500);
  EXPECT_EQ(with([](Submission& s) {
              s.memory_per_node_mib = 4000;
              s.min_nodes = 2;
              s.min_cpus = 8;
            }).memory_per_cpu_mib,
            1000);
}

TEST(RequestedResources, ReadsGpusInEverySpelling) {
  struct Case {
    const char* tres;
    double count;
    const char* type;
  };
  for (const auto& [tres, count, type] :
       std::initializer_list<Case>{{"gpu", 1, ""},
                                   {"gpu:2", 2, ""},
                                   {"gres:gpu:2", 2, ""},
                                   {"gres/gpu:2", 2, ""},
                                   {"gres/gpu=2", 2, ""},
                                   {"gres:gpu:a100:2", 2, "a100"},
                                   {"gres/gpu:1g.5gb:1", 1, "1g.5gb"},
                                   {"gres/gpu:a100", 1, "a100"},
                                   {"gres/shard:4,gres/gpu:3", 3, ""},
                                   {"gres/gpu:a:1,gres/gpu:b:2", 3, "a"},
                                   {"license/gpu:4", 0, ""},
                                   {"", 0, ""},
                                   {":::,,==", 0, ""},
                                   {"gpu:99999999999", 1, "99999999999"}}) {
    Submission s;
    s.tres_per_job = tres;
    EXPECT_EQ(requested_resources(s).gpus, count) << tres;
    EXPECT_EQ(requested_resources(s).gpu_type, type) << tres;
  }
}

TEST(RequestedResources, GpusPerNodeAndTaskAreMultiplied) {
  EXPECT_EQ(with([](Submission& s) {
              s.tres_per_node = "gpu:2";
              s.min_nodes = 3;
            }).gpus,
            6);
  EXPECT_EQ(with([](Submission& s) {
              s.tres_per_task = "gpu:1";
              s.num_tasks = 4;
            }).gpus,
            4);
}

TEST(RequestedResources, CountsArrayTasks) {
  struct Case {
    const char* array;
    double tasks;
  };
  for (const auto& [array, tasks] : std::initializer_list<Case>{{"0-15", 16},
                                                                {"1,3,5", 3},
                                                                {"0-9:2", 5},
                                                                {"0-99%10", 100},
                                                                {"7", 1},
                                                                {"1-3,10-12", 6},
                                                                {"9-1", 1},
                                                                {"0-9:0", 1},
                                                                {"x", 1},
                                                                {",,-", 1}}) {
    Submission s;
    s.array = array;
    EXPECT_EQ(requested_resources(s).array_tasks, tasks) << array;
  }
}

Directives of_script(const std::string& script) {
  Submission s;
  s.script = script;
  return directives_of(s);
}

TEST(Directives, AreReadFromTheHeadOfTheScript) {
  EXPECT_TRUE(of_script("#!/bin/sh\n#AUSPEX off\n").off);
  EXPECT_TRUE(of_script("#!/bin/sh\n\n# a comment\n  #AUSPEX   off  \n").off);
  EXPECT_TRUE(of_script("#!/bin/sh\r\n#AUSPEX\toff\r\n").off);
  EXPECT_FALSE(of_script("#!/bin/sh\necho\n#AUSPEX off\n").off) << "after the first command";
  EXPECT_FALSE(of_script("#AUSPEXoff\n").off);
  EXPECT_FALSE(of_script("# AUSPEX off\n").off);
  EXPECT_FALSE(of_script("#AUSPEX official\n").off);
  EXPECT_FALSE(of_script("").off);
}

TEST(Directives, NameAModelAndABatch) {
  const Directives d = of_script("#!/bin/sh\n#AUSPEX model=net/resnet50.onnx batch=32\n");
  EXPECT_EQ(d.model, "net/resnet50.onnx");
  EXPECT_EQ(d.batch, 32U);
  EXPECT_FALSE(d.off);
  EXPECT_FALSE(of_script("#AUSPEX batch=-1\n").batch);
  EXPECT_FALSE(of_script("#AUSPEX batch=3x\n").batch);
}

TEST(Directives, SayHowAModelIsRun) {
  const Directives d = of_script(
      "#AUSPEX model=net.onnx input=3x224x224\n#AUSPEX mode=training\tformat=half optimizer=sgd\n");
  EXPECT_EQ(d.input, "3x224x224");
  EXPECT_EQ(d.mode, "training");
  EXPECT_EQ(d.format, "half");
  EXPECT_EQ(d.optimizer, "sgd");
}

TEST(Directives, TheEnvironmentWins) {
  Submission s;
  s.script = "#AUSPEX model=a batch=1\n";
  s.environment = {"AUSPEX=off",    "AUSPEX_MODEL=b",     "AUSPEX_BATCH=2",
                   "AUSPEX_INPUT=", "AUSPEX_FORMAT=half", "AUSPEX_MODE=graph",
                   "AUSPEX_",       "AUSPEX_X=1",         "AUSPEX_OPTIMIZER=adam"};
  const Directives d = directives_of(s);
  EXPECT_TRUE(d.off);
  EXPECT_EQ(d.model, "b");
  EXPECT_EQ(d.batch, 2U);
  EXPECT_EQ(d.input + d.format + d.mode + d.optimizer, "halfgraphadam");
}

}  // namespace
}  // namespace auspex
