// SPDX-License-Identifier: Apache-2.0
// From files to a deciding engine, its reload, and what the status tells of it.
#include "daemon/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "daemon/reloader.h"
#include "daemon/service.h"
#include "kernels/cuda_network.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/models.h"

namespace auspex {
namespace {

using fixtures::TemporaryFolder;
using fixtures::write_file;
using testing::EndsWith;
using testing::StartsWith;

void write_site(const TemporaryFolder& folder, const std::string& mode, double p50_min) {
  EXPECT_TRUE(write_model_file(folder / "m", fixtures::constant_model(60 * p50_min)).ok());
  write_file(folder / "auspex.yaml", "model: " + (folder / "m") + "\nmode: " + mode +
                                         "\nslurm_user: root\n"
                                         "limits: {floor_min: 1, round_min: 1, margin: 1.0}\n");
}

ipc::DecideRequest job(uint32_t limit_min) {
  ipc::DecideRequest request;
  request.submission.time_limit_min = limit_min;
  request.submission.script = "#!/bin/sh\n";
  request.slurm_version = 0x160508;
  return request;
}

TEST(LoadEngine, DecidesAsTheFilesSay) {
  const TemporaryFolder folder;
  write_site(folder, "hard", 30);
  const auto loaded = load_engine(folder / "auspex.yaml", true);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->decide_uids, std::vector<uint32_t>{0});
  EXPECT_TRUE(loaded->warnings.empty());
  const Decision d = loaded->engine->decide(job(1000).submission);
  EXPECT_EQ(d.why, Why::kModel);
  // The constant model's p90 is p50 * 2^0.4.
  EXPECT_EQ(d.applied_min, 40U);
}

TEST(LoadEngine, WithoutAGpuTheCpuAnswersAndTheDaemonSaysSo) {
  if (!cuda_backends().empty()) GTEST_SKIP() << "this machine has one";
  const TemporaryFolder folder;
  write_site(folder, "hard", 30);
  write_file(folder / "auspex.yaml",
             fixtures::read_file(folder / "auspex.yaml") + "backend: cuda\n");
  const auto loaded = load_engine(folder / "auspex.yaml", true);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  ASSERT_EQ(loaded->warnings.size(), 1);
  EXPECT_THAT(loaded->warnings[0], StartsWith("backend: cuda: "));
  EXPECT_THAT(loaded->warnings[0], EndsWith("; the CPU answers"));
  EXPECT_EQ(loaded->engine->decide(job(1000).submission).applied_min, 40U);
  DecisionService service(folder / "auspex.yaml", loaded->engine, nullptr, nullptr);
  const auto gpu = nlohmann::json::parse(service.status_json())["gpu"];
  EXPECT_EQ(gpu["absence"], cuda_state().absence);
  EXPECT_EQ(gpu["fault"], "");
}

// Until enough jobs have shown what a quantile is worth, a new user's limit stays.
TEST(Engine, AppliesAQuantileOnceItIsProven) {
  const auto model = ModelFile::of(fixtures::deaf_pointer_model(900));
  Config config;
  config.mode = Mode::kHard;
  const Engine engine(config, *RuntimePredictor::with(*model));
  JobHistory history;
  EXPECT_EQ(engine.decide(job(1000).submission, &history).why, Why::kNotBelowAsked);
  history.go_on_from(fixtures::proven_calibration());
  const Decision d = engine.decide(job(1000).submission, &history);
  EXPECT_EQ(d.why, Why::kModel);
  EXPECT_LT(*d.applied_min, 30U);
  // What it was promised is what the network itself said, whatever the history makes of it.
  const HistoryRequest request = history_request_of(job(1000).submission);
  HistoryView view;
  history.view(request, request.submit_s, view);
  EXPECT_EQ(d.prediction->raw_log_s, calibrated_logs(engine.predictor()->predict(request, view)));
}

TEST(LoadEngine, WithoutAModelItStartsAndSaysSo) {
  const TemporaryFolder folder;
  write_file(folder / "auspex.yaml", "model: /nonexistent/m\nslurm_user: root\n");
  const auto started = load_engine(folder / "auspex.yaml", false);
  ASSERT_TRUE(started.ok()) << started.error().message;
  ASSERT_EQ(started->warnings.size(), 1U);
  EXPECT_EQ(started->warnings[0],
            "no model: /nonexistent/m: No such file or directory; every job is left alone");
  EXPECT_EQ(started->engine->decide(job(60).submission).why, Why::kNoModel);
  EXPECT_FALSE(load_engine(folder / "auspex.yaml", true).ok());
}

TEST(LoadEngine, NamesUsersThatNobodyHas) {
  const TemporaryFolder folder;
  write_file(folder / "auspex.yaml",
             "slurm_user: no-such-user-1\n"
             "rules:\n  - {match: {user: [no-such-user-2, root]}, mode: hard}\n");
  const auto loaded = load_engine(folder / "auspex.yaml", false);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  ASSERT_EQ(loaded->warnings.size(), 3U);
  EXPECT_NE(loaded->warnings[0].find("\"no-such-user-2\""), std::string::npos);
  EXPECT_NE(loaded->warnings[1].find("\"no-such-user-1\""), std::string::npos);
  EXPECT_EQ(loaded->engine->config().rules[0].match.user[1], "0") << "names become uids";
  EXPECT_EQ(loaded->decide_uids, std::vector<uint32_t>{0});
}

Result<Loaded> next(Reloader& reloader) {
  pollfd entry{reloader.ready_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&entry, 1, 60'000), 1);
  auto outcome = reloader.take();
  EXPECT_TRUE(outcome.has_value());
  return std::move(*outcome);
}

TEST(Reloader, BringsTheNewFilesOrTheReason) {
  const TemporaryFolder folder;
  write_site(folder, "hard", 30);
  Reloader reloader(folder / "auspex.yaml");
  EXPECT_FALSE(reloader.take().has_value());
  reloader.request();
  auto first = next(reloader);
  ASSERT_TRUE(first.ok()) << first.error().message;

  write_file(folder / "m", "not a model");
  reloader.request();
  const auto broken = next(reloader);
  ASSERT_FALSE(broken.ok());
  EXPECT_NE(broken.error().message.find("truncated"), std::string::npos);
  EXPECT_EQ(first->engine->decide(job(1000).submission).applied_min, 40U) << "the old one lives";

  write_site(folder, "observe", 30);
  reloader.request();
  const auto second = next(reloader);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->engine->config().mode, Mode::kObserve);
}

TEST(Reloader, RequestsWhileBusyBecomeOneMore) {
  const TemporaryFolder folder;
  write_site(folder, "hard", 30);
  Reloader reloader(folder / "auspex.yaml");
  for (int i = 0; i < 5; ++i) reloader.request();
  EXPECT_TRUE(next(reloader).ok());
  EXPECT_TRUE(next(reloader).ok());
  EXPECT_FALSE(reloader.take().has_value());
}

TEST(Reloader, MeasuresHowWhatItLoadsIsComputedFastest) {
  const TemporaryFolder folder;
  write_site(folder, "hard", 30);
  Reloader reloader(folder / "auspex.yaml");
  reloader.request();
  const auto loaded = next(reloader);
  ASSERT_NE(loaded->engine->predictor()->routes(), nullptr);
  EXPECT_FALSE(loaded->measured_only);
}

TEST(Reloader, MeasuresWhatIsAlreadyServing) {
  const TemporaryFolder folder;
  write_site(folder, "hard", 30);
  const auto started = load_engine(folder / "auspex.yaml", true);
  EXPECT_EQ(started->engine->predictor()->routes(), nullptr) << "a start does not wait for it";
  DecisionService service(folder / "auspex.yaml", started->engine);
  EXPECT_TRUE(nlohmann::json::parse(service.status_json())["routes"].is_null());

  Reloader reloader(folder / "auspex.yaml");
  reloader.measure(started->engine);
  reloader.request();
  const auto measured = next(reloader);
  EXPECT_TRUE(measured->measured_only);
  EXPECT_EQ(measured->engine->config().mode, Mode::kHard);
  EXPECT_EQ(&measured->engine->predictor()->model(), &started->engine->predictor()->model());
  EXPECT_FALSE(next(reloader)->measured_only) << "the load follows";

  service.compute_by(measured->engine);
  EXPECT_EQ(service.decide(job(1000)).edits.time_limit_min, 40U);
  const auto routes = nlohmann::json::parse(service.status_json())["routes"];
  EXPECT_EQ(routes["1"]["backend"], measured->engine->predictor()->backend());
  EXPECT_GT(routes["512"]["us"], 0);
}

TEST(Reloader, MeasuresNothingForWhoWantsTheUsualWay) {
  const TemporaryFolder folder;
  write_site(folder, "hard", 30);
  write_file(folder / "auspex.yaml",
             fixtures::read_file(folder / "auspex.yaml") + "backend: cpu\n");
  Reloader reloader(folder / "auspex.yaml");
  reloader.request();
  const auto loaded = next(reloader);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded->engine->predictor()->routes(), nullptr);
}

TEST(Reloader, WithoutAModelThereIsNothingToMeasure) {
  Reloader reloader("/nonexistent");
  reloader.measure(std::make_shared<Engine>(Config{}, nullptr));
  const auto measured = next(reloader);
  EXPECT_EQ(measured->engine->predictor(), nullptr);
  EXPECT_TRUE(measured->warnings.empty());
}

TEST(DecisionService, CountsWhatItDid) {
  const TemporaryFolder folder;
  write_site(folder, "hard", 30);
  const auto loaded = load_engine(folder / "auspex.yaml", true);
  DecisionService service(folder / "auspex.yaml", loaded->engine);
  EXPECT_EQ(service.decide(job(1000)).edits.time_limit_min, 40U);
  EXPECT_EQ(service.decide(job(5)).edits, Edits{});
  auto reported = job(1000);
  reported.report = {77, 120, 9, 7, 1, 2, 3};
  service.decide(reported);

  const auto status = nlohmann::json::parse(service.status_json());
  EXPECT_EQ(status["decisions"]["total"], 3);
  EXPECT_EQ(status["decisions"]["changed"], 2);
  EXPECT_EQ(status["decisions"]["by_mode"]["hard"], 3);
  EXPECT_EQ(status["decisions"]["by_why"]["not-below-asked"], 1);
  EXPECT_EQ(status["slurm"], "22.5.8");
  EXPECT_EQ(status["fallbacks"]["breaker_open"], 7);
  EXPECT_EQ(status["fallbacks"]["timeouts"], 1);
  EXPECT_EQ(status["answered"], 9);
  EXPECT_EQ(status["plugin_call_us"]["calls"], 1);
  EXPECT_NEAR(status["plugin_call_us"]["p50"].get<double>(), 120, 7);
  EXPECT_EQ(status["model"]["trained_on"], "constant");

  service.use(std::make_shared<Engine>(Config{}, nullptr));
  EXPECT_EQ(service.decide(job(1000)).edits, Edits{});
  EXPECT_TRUE(nlohmann::json::parse(service.status_json())["model"].is_null());
}

TEST(Histogram, KnowsQuantilesToFivePercent) {
  Histogram histogram;
  EXPECT_EQ(histogram.quantile_us(.5), 0);
  for (int us = 1; us <= 1000; ++us) histogram.add(us);
  EXPECT_NEAR(histogram.quantile_us(.5), 500, 25);
  EXPECT_NEAR(histogram.quantile_us(.99), 990, 50);
  histogram.add(1e30);
  EXPECT_EQ(histogram.count(), 1001U);
}

}  // namespace
}  // namespace auspex
