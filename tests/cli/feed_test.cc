// SPDX-License-Identifier: Apache-2.0
// A past that is fed to a real daemon is decided as the dry run decides it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/run_auspex.h"
#include "tests/fixtures/daemon.h"
#include "tests/fixtures/models.h"

namespace auspex::cli {
namespace {

namespace fs = std::filesystem;
using fixtures::Daemon;
using fixtures::TemporaryFolder;
using nlohmann::json;
using testing::HasSubstr;
using Words = std::vector<std::string>;

constexpr char kDaemon[] = AUSPEX_BINARY_DIR "/auspexd";
constexpr char kHpc2n[] = AUSPEX_SOURCE_DIR "/../shared/data/jobs/swf/HPC2N-2002-2.1-cln.swf.xz";

// Bursts, waits and cancellations of a dozen users. order: how many rows are swapped with a later
// one, so that the file is not in the order of submission.
std::string small_swf(size_t jobs, size_t swaps = 0) {
  std::mt19937 random(11);
  std::vector<std::string> rows;
  size_t time_s = 0;
  for (size_t index = 0; index < jobs; ++index) {
    time_s += random() % 3 == 0 ? random() % 900 : 0;
    const size_t user = 1 + random() % 12, run_s = 1 + random() % (600 * user);
    std::ostringstream row;
    row << index + 1 << ' ' << time_s << ' ' << random() % 400 << ' ' << run_s << ' '
        << 1 + random() % 8 << " -1 -1 " << 1 + random() % 8 << " 14400 -1 " << random() % 2 << ' '
        << user << ' ' << user % 3 << ' ' << 1 + random() % 3 << ' ' << user % 2 << " 1 -1 -1\n";
    rows.push_back(row.str());
  }
  for (; swaps > 0; --swaps) std::swap(rows[random() % jobs], rows[random() % jobs]);
  std::string text = "; UnixStartTime: 1000000000\n";
  for (const std::string& row : rows) text += row;
  return text;
}

// A site whose model reads the history; its limits and its order show the prediction finely.
class Feed : public testing::Test {
 protected:
  void SetUp() override {
    const auto model = fixtures::random_pointer_model({32, 16}, 8, 8, 3);
    ASSERT_TRUE(write_model_file(folder_ / "model", model).ok());
    fixtures::write_file(config_, "socket: " + (folder_ / "s") + "\nmodel: " + (folder_ / "model") +
                                      "\nbackend: cpu\nmode: hard\nslurm_user: \"" +
                                      std::to_string(::getuid()) +
                                      "\"\nlimits: {floor_min: 1, round_min: 1, margin: 1}\n"
                                      "order: {weight: 10000000}\nhistory: {state: " +
                                      (folder_ / "state") + "}\n");
    use_file(small_swf(400));
  }
  void use_file(const std::string& swf) {
    jobs_ = folder_ / "jobs.swf";
    fixtures::write_file(jobs_, swf);
  }

  Ran run(const std::string& command, const Words& more) const {
    Words words = {command, "--config", config_, "--jobs", jobs_, "--format", "swf", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return run_auspex(words);
  }
  // Of each row what a reply tells: dry-run's own additions are left out.
  std::vector<std::string> dry_run(const Words& more = {}) const {
    const Ran ran = run("dry-run", more);
    EXPECT_EQ(ran.code, 0) << ran.err;
    std::vector<std::string> rows;
    const json answer = json::parse(ran.out, nullptr, false);
    for (const json& item : answer.at("decisions")) {
      json decision = item.at("decision");
      for (const char* key : {"mode", "rule", "why"}) decision.erase(key);
      decision.at("time_limit_min").erase("proposed");
      rows.push_back(json({{"id", item.at("id")}, {"decision", decision}}).dump());
    }
    return rows;
  }
  std::vector<std::string> feed(Words more = {}) const {
    more.push_back("--decide");
    const Ran ran = run("feed", more);
    EXPECT_EQ(ran.code, 0) << ran.err;
    std::vector<std::string> rows;
    std::istringstream lines(ran.out);
    for (std::string line; std::getline(lines, line);) rows.push_back(json::parse(line).dump());
    return rows;
  }
  json status() const {
    const Ran ran = run_auspex({"status", "--json", "--config", config_});
    EXPECT_EQ(ran.code, 0) << ran.err;
    return json::parse(ran.out, nullptr, false);
  }
  std::unique_ptr<Daemon> start() const {
    return std::make_unique<Daemon>(kDaemon, config_, folder_);
  }

  // Not EXPECT_EQ on the whole: it would print all of it.
  static void expect_same(const std::vector<std::string>& fed,
                          const std::vector<std::string>& dry) {
    ASSERT_EQ(fed.size(), dry.size());
    size_t different = 0;
    for (size_t i = 0; i < dry.size(); ++i) {
      if (fed[i] == dry[i]) continue;
      if (++different == 1) {
        EXPECT_EQ(fed[i], dry[i]) << "row " << i;
      }
    }
    EXPECT_EQ(different, 0U);
  }

  const TemporaryFolder folder_;
  const std::string config_ = folder_ / "auspex.yaml";
  std::string jobs_;
};

TEST_F(Feed, DecidesAsTheDryRun) {
  const auto daemon = start();
  const auto rows = feed();
  EXPECT_EQ(rows.size(), 400U);
  expect_same(rows, dry_run());
}

TEST_F(Feed, TheHistoryMatters) {
  const auto daemon = start();
  const auto first = feed();
  const auto second = feed();  // all of the past is known already
  ASSERT_EQ(first.size(), second.size());
  EXPECT_NE(first[0], second[0]);
}

TEST_F(Feed, PlaysAFileInTheOrderOfTime) {
  const auto in_order = dry_run();
  use_file(small_swf(400, 50));
  const auto daemon = start();
  const auto rows = feed();
  expect_same(rows, dry_run());
  // Jobs of the same second may have changed places, so only the ends are the same for sure.
  ASSERT_EQ(rows.size(), in_order.size());
  EXPECT_EQ(rows.front(), in_order.front());
}

TEST_F(Feed, WithoutDecisionsItLeavesTheSameHistory) {
  json with, without;
  {
    const auto daemon = start();
    feed();
    with = status().at("history");
  }
  fs::remove(folder_ / "state");
  {
    const auto daemon = start();
    const Ran ran = run("feed", {});
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(json::parse(ran.out).at("submissions"), 400);
    without = status().at("history");
  }
  // What was not decided was promised nothing.
  EXPECT_EQ(with.at("calibration").at("jobs"), 400);
  EXPECT_EQ(without.at("calibration").at("jobs"), 0);
  for (json* history : {&with, &without}) history->erase("calibration");
  EXPECT_EQ(without, with);
  EXPECT_EQ(without.at("jobs"), 400);
  EXPECT_EQ(without.at("users"), 12);
  EXPECT_EQ(without.at("in_flight"), 0);
}

TEST_F(Feed, ADaemonThatWasStoppedGoesOn) {
  auto daemon = start();
  auto rows = feed({"--limit", "150"});
  EXPECT_EQ(daemon->end(SIGTERM), 0);
  EXPECT_TRUE(fs::exists(folder_ / "state"));
  EXPECT_FALSE(fs::exists(folder_ / "state.journal")) << "all of it is saved";
  daemon = start();
  for (std::string& row : feed({"--skip", "150"})) rows.push_back(std::move(row));
  expect_same(rows, dry_run());
}

TEST_F(Feed, ADaemonThatWasKilledGoesOn) {
  auto daemon = start();
  auto rows = feed({"--limit", "150"});
  EXPECT_EQ(status().at("history").at("journal"), json({{"unwritten", 0}, {"lost", 0}}));
  daemon->end(SIGKILL);
  EXPECT_FALSE(fs::exists(folder_ / "state")) << "only the journal has it";
  daemon = start();
  for (std::string& row : feed({"--skip", "150"})) rows.push_back(std::move(row));
  expect_same(rows, dry_run());
}

TEST_F(Feed, ADaemonBeginsWithTheModelsCalibrationAndKeepsItsOwn) {
  auto model = fixtures::random_pointer_model({32, 16}, 8, 8, 3);
  model.calibration = fixtures::proven_calibration().state();
  ASSERT_TRUE(write_model_file(folder_ / "model", model).ok());
  auto daemon = start();
  EXPECT_EQ(status().at("history").at("calibration").at("p90").at("recipe"), "raw");
  auto rows = feed({"--limit", "150"});
  const json calibration = status().at("history").at("calibration");
  EXPECT_GT(calibration.at("jobs"), Calibration::kLeast);
  daemon->end(SIGKILL);
  // Another model's is not taken over by a daemon that has one.
  model.calibration.users.clear();
  model.calibration.window.assign(Calibration::kWindow, 0);
  ASSERT_TRUE(write_model_file(folder_ / "other", model).ok());
  fs::rename(folder_ / "model", folder_ / "first");
  fs::copy(folder_ / "other", folder_ / "model");
  daemon = start();
  EXPECT_EQ(status().at("history").at("calibration"), calibration);
  for (std::string& row : feed({"--skip", "150"})) rows.push_back(std::move(row));
  fs::rename(folder_ / "first", folder_ / "model");
  const auto without_model = [](std::vector<std::string> texts) {
    for (std::string& text : texts) {
      json row = json::parse(text);
      row.at("decision").erase("admin_comment");  // it names the model
      text = row.dump();
    }
    return texts;
  };
  expect_same(without_model(rows), without_model(dry_run()));
}

TEST_F(Feed, ARefusedFileIsSetAsideAndTheDaemonStarts) {
  fixtures::write_file(folder_ / "state", "not a history");
  fixtures::write_file(folder_ / "state.journal", "not a journal");
  const auto daemon = start();
  EXPECT_EQ(status().at("history").at("jobs"), 0);
  EXPECT_EQ(fixtures::read_file(folder_ / "state.refused"), "not a history");
  EXPECT_EQ(fixtures::read_file(folder_ / "state.journal.refused"), "not a journal");
}

TEST_F(Feed, NoNameAndNoTextEntersTheFiles) {
  fixtures::write_file(
      folder_ / "jobs.swf",
      "job_id,user,account,name,submit_time,start_time,end_time,run_time,wallclock_req,nodes_req,"
      "processors_req,state\n"
      "1,secretuser,secretaccount,secretjob,2019-01-01 08:00:00,2019-01-01 08:00:00,"
      "2019-01-01 09:00:00,3600,14400,1,1,COMPLETED\n");
  auto daemon = start();
  const Ran ran = run_auspex({"feed", "--config", config_, "--jobs", jobs_, "--format", "csv"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("1 users or groups of the file are not known here"));
  EXPECT_EQ(fixtures::read_file(folder_ / "state.journal").find("secret"), std::string::npos);
  EXPECT_EQ(daemon->end(SIGTERM), 0);
  EXPECT_EQ(fixtures::read_file(folder_ / "state").find("secret"), std::string::npos);
}

TEST_F(Feed, BadUsageIsNamed) {
  const auto refused = [this](const Words& words, const std::string& what, int code = 2) {
    const Ran ran = run_auspex(words);
    EXPECT_EQ(ran.code, code) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(what));
    EXPECT_EQ(ran.out, "");
  };
  refused({"feed"}, "--jobs is required");
  refused({"feed", "--jobs", "x"}, "--format is required");
  refused({"feed", "--jobs", "x", "--format", "xml"}, "'xml' is none of sacct, swf, csv");
  refused({"feed", "--config", config_, "--jobs", folder_ / "none", "--format", "swf"},
          folder_ / "none");
  refused({"feed", "--config", config_, "--jobs", jobs_, "--format", "swf", "--skip", "-1"},
          "'-1' is not a whole number");
  refused({"feed", "--config", config_, "--jobs", jobs_, "--format", "swf"},
          "the daemon cannot be reached at " + (folder_ / "s"), 1);
}

// 20,000 jobs of a real site, half of them before the daemon is killed.
TEST_F(Feed, ARealLogIsDecidedAsTheDryRunEvenAcrossAKill) {
  if (!fs::exists(kHpc2n)) GTEST_SKIP() << kHpc2n << " is absent";
  jobs_ = kHpc2n;
  const Words swf = {"--limit", "20000"};
  const auto dry = dry_run(swf);
  ASSERT_EQ(dry.size(), 20'000U);
  {
    const auto daemon = start();
    expect_same(feed(swf), dry);
  }
  fs::remove(folder_ / "state");
  auto daemon = start();
  auto rows = feed({"--limit", "10000"});
  daemon->end(SIGKILL);
  daemon = start();
  for (std::string& row : feed({"--skip", "10000", "--limit", "10000"})) {
    rows.push_back(std::move(row));
  }
  expect_same(rows, dry);
}

}  // namespace
}  // namespace auspex::cli
