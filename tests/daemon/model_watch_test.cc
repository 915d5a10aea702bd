// SPDX-License-Identifier: Apache-2.0
#include "daemon/model_watch.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace auspex {
namespace {

using std::chrono::milliseconds;

class ModelWatching : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_);
    put("one");
    watch_.follow(path_, identity_of(path_));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // As a learner does it.
  void put(const std::string& text) {
    std::ofstream(path_ + ".new") << text;
    std::filesystem::rename(path_ + ".new", path_);
  }
  bool told(int wait_ms) {
    pollfd asked = {watch_.fd(), POLLIN, 0};
    return ::poll(&asked, 1, wait_ms) == 1;
  }

  const std::string folder_ = testing::TempDir() + "/model_watch." + std::to_string(::getpid());
  const std::string path_ = folder_ + "/model";
  ModelWatch watch_{milliseconds(5)};
};

constexpr int kLong = 60'000, kMoment = 100;  // milliseconds

TEST_F(ModelWatching, AnotherFileIsToldOnce) {
  EXPECT_FALSE(told(kMoment));
  EXPECT_FALSE(watch_.changed());
  put("another");
  ASSERT_TRUE(told(kLong));
  EXPECT_TRUE(watch_.changed());
  EXPECT_FALSE(told(kMoment));
  EXPECT_FALSE(watch_.changed());
}

TEST_F(ModelWatching, WhatWasLoadedMeanwhileIsNotTold) {
  put("another");
  ASSERT_TRUE(told(kLong));
  watch_.follow(path_, identity_of(path_));
  EXPECT_FALSE(told(kMoment));
  EXPECT_FALSE(watch_.changed());
}

TEST_F(ModelWatching, NoFileIsNoOtherOne) {
  std::filesystem::remove(path_);
  EXPECT_FALSE(told(kMoment));
  put("back");
  ASSERT_TRUE(told(kLong));
}

TEST_F(ModelWatching, AnotherPathIsWatchedFromThenOn) {
  const std::string other = folder_ + "/other";
  std::ofstream(other) << "other";
  watch_.follow(other, identity_of(other));
  put("nobody looks");
  EXPECT_FALSE(told(kMoment));
  std::ofstream(other) << "other, and longer";
  EXPECT_TRUE(told(kLong));
}

}  // namespace
}  // namespace auspex
