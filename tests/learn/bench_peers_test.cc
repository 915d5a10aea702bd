// SPDX-License-Identifier: Apache-2.0
// The peers of auspex bench: others' libraries take their turns beside ours, or say why not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/fixtures/files.h"

namespace auspex {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;

class BenchPeers : public testing::Test {
 protected:
  int run(const std::string& command) {
    const std::string all =
        command + " >" + (folder_ / "stdout") + " 2>" + (folder_ / "stderr") + " ";
    const int status = ::system(all.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string printed() const { return fixtures::read_file(folder_ / "stdout"); }
  std::string complained() const { return fixtures::read_file(folder_ / "stderr"); }

  // Techniques of the rows of a small network.
  std::multiset<std::string> techniques(const std::string& program, const std::string& words = "") {
    EXPECT_EQ(run(program +
                  " bench --json --hidden 32,16 --batch 1 --batch 4 --trials 10 --cache warm "
                  "--backend fp32-portable " +
                  words),
              0)
        << complained();
    std::multiset<std::string> names;
    const json answer = json::parse(printed(), nullptr, false);
    if (!answer.is_object()) return names;
    for (const json& row : answer["rows"]) {
      EXPECT_GT(row["median_us"], 0) << row;
      EXPECT_GE(row["p99_us"], row["median_us"]) << row;
      EXPECT_EQ(row["hidden"], "32-16") << row;
      names.insert(row["technique"].get<std::string>());
    }
    return names;
  }

  fixtures::TemporaryFolder folder_;
  const std::string auspex_ = AUSPEX_BINARY_DIR "/auspex";
};

TEST_F(BenchPeers, take_their_turns_and_what_is_no_library_is_said) {
  fixtures::write_file(folder_ / "lib.so", "not ELF");
  const auto names = techniques(auspex_, "--onnxruntime " + (folder_ / "lib.so"));
  EXPECT_THAT(names, IsSupersetOf({"auspex", "xgboost", "torch_embbag", "torch_dense"}));
  EXPECT_EQ(names.count("xgboost"), 2) << "one row for each batch";
  EXPECT_EQ(names.count("onnxruntime"), 0);
  EXPECT_THAT(complained(), HasSubstr("lib.so"));
}

// A child that is missing, dies at once, says nothing that makes sense, or takes no requests.
TEST_F(BenchPeers, a_child_that_fails_is_said_once_and_left_out) {
  std::filesystem::copy_file(auspex_, folder_ / "auspex");
  const std::string alone = "PATH=" + folder_.path() + ":/usr/bin:/bin " + (folder_ / "auspex");
  EXPECT_EQ(techniques(alone).count("auspex"), techniques(alone).size());
  EXPECT_THAT(complained(), HasSubstr("auspex-learn is not here"));
  for (const char* script :
       {"exit 3", "read line; echo nonsense; cat", "read line; echo '{\"peers\":7}'; cat",
        "read line\necho '{\"peers\":[{\"technique\":\"t\",\"backend\":\"b\",\"precision\":\"p\","
        "\"input\":\"gather\"}],\"missing\":[]}'\nread line\nkill -9 $$"}) {
    fixtures::write_file(folder_ / "auspex-learn", std::string("#!/bin/sh\n") + script + "\n");
    std::filesystem::permissions(folder_ / "auspex-learn", std::filesystem::perms::owner_all);
    const auto names = techniques(alone);
    EXPECT_THAT(names, Not(IsEmpty())) << script;
    EXPECT_EQ(names.count("auspex"), names.size()) << script;
    const std::string said = complained();
    EXPECT_THAT(said, HasSubstr("auspex-learn")) << script;
    EXPECT_EQ(std::ranges::count(said, '\n'), 1) << script << ": " << said;
  }
}

TEST_F(BenchPeers, requests_that_make_no_sense_are_answered) {
  fixtures::write_file(folder_ / "in", "{\n[]\n{\"peer\":99}\n{\"peer\":0,\"hidden\":7}\n");
  ASSERT_EQ(run("cat " + (folder_ / "in") + " | " AUSPEX_BINARY_DIR "/auspex-learn bench-peers"),
            0);
  std::istringstream lines(printed());
  size_t answers = 0;
  for (std::string line; std::getline(lines, line); ++answers) {
    EXPECT_TRUE(json::parse(line).contains("error")) << line;
  }
  EXPECT_EQ(answers, 4);
}

}  // namespace
}  // namespace auspex
