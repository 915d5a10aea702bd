// SPDX-License-Identifier: Apache-2.0
// A real auspexd takes another model over as soon as it stands in the place of the old one.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "tests/fixtures/daemon.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/models.h"

namespace auspex {
namespace {

class ModelSwap : public testing::Test {
 protected:
  void SetUp() override {
    publish(fixtures::constant_model(600));
    fixtures::write_file(folder_ / "auspex.yaml", "socket: " + (folder_ / "socket") +
                                                      "\nmodel: " + (folder_ / "model") +
                                                      "\nhistory: {state: \"\"}\n");
  }
  void publish(const ModelContent& content) {
    ASSERT_TRUE(write_model_file(folder_ / "model", content).ok());
  }
  nlohmann::json status() {
    const std::string command = AUSPEX_BINARY_DIR "/auspex status --json --socket " +
                                (folder_ / "socket") + " >" + (folder_ / "status");
    EXPECT_EQ(std::system(command.c_str()), 0);
    return nlohmann::json::parse(fixtures::read_file(folder_ / "status"));
  }
  // Waits, a minute at most, until the status is as wanted.
  bool becomes(const std::function<bool(const nlohmann::json&)>& wanted) {
    for (int tries = 0; tries < 300; ++tries) {
      if (wanted(status())) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    return false;
  }

  fixtures::TemporaryFolder folder_;
};

TEST_F(ModelSwap, a_new_model_is_taken_over_and_a_broken_one_is_not) {
  const fixtures::Daemon daemon(AUSPEX_BINARY_DIR "/auspexd", folder_ / "auspex.yaml", folder_);
  const std::string first = status().at("model").at("id");
  publish(fixtures::constant_model(1200));
  EXPECT_TRUE(becomes([&](const auto& s) { return s.at("model").at("id") != first; }));
  const std::string second = status().at("model").at("id");

  fixtures::write_file(folder_ / "model", "not a model");
  EXPECT_TRUE(becomes([](const auto& s) { return s.at("reloads").at("failed") == 1; }));
  EXPECT_EQ(status().at("model").at("id"), second);

  publish(fixtures::constant_model(600));
  EXPECT_TRUE(becomes([&](const auto& s) { return s.at("model").at("id") == first; }));
}

}  // namespace
}  // namespace auspex
