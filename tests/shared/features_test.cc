// SPDX-License-Identifier: Apache-2.0
#include "shared/features.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <utility>

namespace auspex {
namespace {

size_t index_of(std::string_view name) {
  for (size_t i = 0; i < kCategoryCount; ++i) {
    if (kCategoryNames[i] == name) return i;
  }
  ADD_FAILURE() << name;
  return 0;
}

uint64_t category(const Submission& s, std::string_view name) {
  return features_of(s).category[index_of(name)];
}

TEST(Features, AnEmptySubmissionIsMissingWhereItSaysNothing) {
  const Features f = features_of({});
  for (const auto name :
       {"user", "group", "account", "partition", "qos", "name_stem", "application", "work_dir",
        "feature", "gpu_type", "user_request", "account_request"}) {
    EXPECT_EQ(f.category[index_of(name)], Features::kMissing) << name;
  }
  EXPECT_NE(f.category[index_of("request")], Features::kMissing);
  EXPECT_TRUE(std::isnan(f.number[0])) << "no limit asked";
  EXPECT_TRUE(std::isnan(f.number[3])) << "no memory asked";
  EXPECT_FLOAT_EQ(f.number[1], std::log(2.0F)) << "one CPU";
}

TEST(Features, TheSameTextInTwoFieldsIsNotTheSameCategory) {
  Submission s;
  s.user = s.account = s.partition = s.qos = "x";
  const Features f = features_of(s);
  std::set<uint64_t> hashes;
  for (const auto name : {"user", "account", "partition", "qos"}) {
    hashes.insert(f.category[index_of(name)]);
  }
  EXPECT_EQ(hashes.size(), 4U);
}

TEST(Features, RunsOfOneSeriesShareAName) {
  const auto stem_of = [](const std::string& name) {
    Submission s;
    s.name = name;
    return category(s, "name_stem");
  };
  EXPECT_EQ(stem_of("train-042_v7"), stem_of("train-1_v12"));
  EXPECT_EQ(stem_of("7"), stem_of("123456"));
  EXPECT_NE(stem_of("train-1"), stem_of("test-1"));
  EXPECT_NE(stem_of("a1"), stem_of("a"));
}

TEST(Features, TheApplicationIsTheScriptsBaseName) {
  Submission a, b;
  a.argv = {"/home/alice/run/blast.sh", "x"};
  b.argv = {"blast.sh"};
  EXPECT_EQ(category(a, "application"), category(b, "application"));
}

TEST(Features, TheProjectIsFourFoldersDeep) {
  const auto project = [](const std::string& dir) {
    Submission s;
    s.work_dir = dir;
    return category(s, "work_dir");
  };
  EXPECT_EQ(project("/p/g/u/study/run1"), project("/p/g/u/study/run2/x"));
  EXPECT_EQ(project("/p/g/u/study"), project("/p/g/u/study/run"));
  EXPECT_NE(project("/p/g/u/study"), project("/p/g/u/other"));
  EXPECT_NE(project("/"), project("/p"));
}

TEST(Features, RequestsDifferByEveryPart) {
  Submission base;
  base.user = "1";
  base.time_limit_min = 60;
  base.min_cpus = 4;
  base.min_nodes = 1;
  base.memory_per_cpu_mib = 1000;
  base.tres_per_job = "gres/gpu:1";
  std::set<uint64_t> hashes = {category(base, "request")};
  const auto add = [&](auto change) {
    Submission s = base;
    change(s);
    hashes.insert(category(s, "request"));
  };
  add([](Submission& s) { s.time_limit_min = 61; });
  add([](Submission& s) { s.min_cpus = 5; });
  add([](Submission& s) { s.min_nodes = 2; });
  add([](Submission& s) { s.memory_per_cpu_mib = 1001; });
  add([](Submission& s) { s.tres_per_job = "gres/gpu:2"; });
  add([](Submission& s) { s.tres_per_job = "gres/gpu:a100:1"; });
  EXPECT_EQ(hashes.size(), 7U);

  Submission other_user = base;
  other_user.user = "2";
  EXPECT_EQ(category(base, "request"), category(other_user, "request"));
  EXPECT_NE(category(base, "user_request"), category(other_user, "user_request"));
}

// The two ways in which one job can be described must be one job to the network.
TEST(Features, HistoryAndSlurmctldDescribeTheSameJob) {
  Submission history, online;
  history.min_cpus = 8;
  history.min_nodes = 2;
  history.memory_per_cpu_mib = 1000;
  history.tres_per_job = "gres/gpu:2";
  online.num_tasks = 4;
  online.cpus_per_task = 2;
  online.min_cpus = 8;
  online.min_nodes = 2;
  online.memory_per_node_mib = 4000;
  online.tres_per_node = "gres:gpu:1";
  EXPECT_EQ(features_of(history).category, features_of(online).category);
  for (size_t i = 1; i < kNumberCount; ++i) {
    EXPECT_EQ(features_of(history).number[i], features_of(online).number[i]) << kNumberNames[i];
  }
}

TEST(Features, AnUnlimitedRequestIsAMissingNumber) {
  Submission s;
  s.time_limit_min = 0xffffffff;
  EXPECT_TRUE(std::isnan(features_of(s).number[0]));
  s.time_limit_min = 60;
  EXPECT_FLOAT_EQ(features_of(s).number[0], std::log(61.0F));
}

}  // namespace
}  // namespace auspex
