// SPDX-License-Identifier: Apache-2.0
#include "learn/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/predictor.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/histories.h"

namespace auspex {
namespace {

using testing::HasSubstr;

std::vector<HistoryJob> generated(size_t count) {
  const fixtures::TemporaryFolder folder;
  fixtures::write_file(folder / "jobs", fixtures::swf_history(count, 7));
  return read_history({{folder / "jobs"}, JobFormat::kSwf, {}}).value().jobs;
}

TrainOptions small() {
  TrainOptions options;
  options.hidden = {16, 8};
  options.epochs = 8;
  options.batch = 32;
  return options;
}

Result<TrainedNetwork> trained(const std::vector<HistoryJob>& jobs, const TrainOptions& options) {
  return train_network(jobs, Vocabulary::of(jobs), options, [](const TrainProgress&) {});
}

std::string written(const std::string& path, const std::vector<HistoryJob>& jobs,
                    const TrainOptions& options) {
  const Result<TrainedNetwork> network = trained(jobs, options);
  EXPECT_TRUE(network.ok());
  if (!network.ok()) return {};
  ModelContent content;
  Vocabulary::of(jobs).describe(content);
  content.layers = network->layers;
  EXPECT_TRUE(write_model_file(path, content).ok());
  return fixtures::read_file(path);
}

TEST(Trainer, folds_batch_norm_into_the_layers) {
  const std::vector<HistoryJob> jobs = generated(600);
  const Result<TrainedNetwork> network = trained(jobs, small());
  ASSERT_TRUE(network.ok()) << network.error().message;
  EXPECT_GT(network->fold_difference, 0);  // something was compared
  EXPECT_LT(network->fold_difference, 1e-4);
  ASSERT_EQ(network->layers.size(), 3U);
  EXPECT_EQ(network->layers[0].outputs, 16U);
  EXPECT_TRUE(network->layers[1].relu);
  EXPECT_FALSE(network->layers[2].relu);
}

TEST(Trainer, gives_the_same_file_for_the_same_seed) {
  const fixtures::TemporaryFolder folder;
  const std::vector<HistoryJob> jobs = generated(600);
  const std::string first = written(folder / "first", jobs, small());
  const std::string second = written(folder / "second", jobs, small());
  EXPECT_TRUE(first == second);
  TrainOptions other = small();
  other.seed = 2;
  EXPECT_FALSE(first == written(folder / "other", jobs, other));
}

TEST(Trainer, learns_what_there_is_to_learn) {
  const fixtures::TemporaryFolder folder;
  const std::vector<HistoryJob> jobs = generated(3000);
  TrainOptions options = small();
  options.epochs = 30;
  written(folder / "model", jobs, options);
  const auto predictor = RuntimePredictor::load(folder / "model");
  ASSERT_TRUE(predictor.ok()) << predictor.error().message;
  double accuracy = 0;
  for (const HistoryJob& job : jobs) {
    const Prediction prediction = (*predictor)->predict(job.request, HistoryView());
    accuracy += std::min(prediction.accuracy_point_s, job.runtime_s) /
                std::max(prediction.accuracy_point_s, job.runtime_s);
  }
  // The user alone tells the runtime to 10 %.
  EXPECT_GT(accuracy / static_cast<double>(jobs.size()), 0.9);
}

TEST(Trainer, works_without_any_category) {
  const std::vector<HistoryJob> same = [] {
    std::vector<HistoryJob> jobs;
    for (int index = 0; index < 200; ++index) {
      jobs.push_back(fixtures::history_job("u", 0, 60, 60));
      jobs.back().request.submit_s = 100 * index;
      jobs.back().end_s = 100 * index + 60;
    }
    return jobs;
  }();
  ASSERT_EQ(Vocabulary::of(same).row_count(), 0U);
  const Result<TrainedNetwork> network = trained(same, small());
  ASSERT_TRUE(network.ok()) << network.error().message;
  EXPECT_EQ(network->layers[0].inputs, kNumberCount);
}

TEST(Trainer, refuses_a_history_that_is_too_short) {
  EXPECT_THAT(trained(generated(99), small()).error().message,
              HasSubstr("99 usable jobs are too few, 100 are needed"));
  EXPECT_TRUE(trained(generated(100), small()).ok());
  // All of one burst: nothing had ended when the last came.
  std::vector<HistoryJob> burst(200, fixtures::history_job("u", 0, 60, 60));
  EXPECT_THAT(trained(burst, small()).error().message, HasSubstr("only 0 of 200 jobs had ended"));
}

TEST(Trainer, tells_how_it_goes_on) {
  uint32_t epochs = 0;
  uint64_t jobs_done = 0;
  const std::vector<HistoryJob> jobs = generated(300);
  const Result<TrainedNetwork> network =
      train_network(jobs, Vocabulary::of(jobs), small(), [&](const TrainProgress& progress) {
        jobs_done = progress.jobs_done;
        epochs += progress.epoch_ended ? 1 : 0;
      });
  ASSERT_TRUE(network.ok());
  EXPECT_EQ(epochs, network->epochs);
  EXPECT_GT(jobs_done, 200U);
}

}  // namespace
}  // namespace auspex
