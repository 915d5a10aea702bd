// SPDX-License-Identifier: Apache-2.0
// Training in the precisions of a model: what is trained is what the kernels compute.
#include "learn/tune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "kernels/network.h"
#include "learn/examples.h"
#include "learn/mlp_tuner.h"
#include "learn/pointer_trainer.h"
#include "learn/rehearse.h"
#include "learn/trainer.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/histories.h"

namespace auspex {
namespace {

using testing::HasSubstr;

constexpr int64_t kEver = std::numeric_limits<int64_t>::max();

const std::vector<HistoryJob>& jobs() {
  static const std::vector<HistoryJob> generated = [] {
    const fixtures::TemporaryFolder folder;
    fixtures::write_file(folder / "jobs", fixtures::swf_history(800, 7));
    return read_history({{folder / "jobs"}, JobFormat::kSwf, {}}).value().jobs;
  }();
  return generated;
}

const Vocabulary& vocabulary() {
  static const Vocabulary of_jobs = Vocabulary::of(jobs());
  return of_jobs;
}

const Examples& examples() {
  static const Examples of_jobs = examples_of(jobs(), vocabulary(), 0, kEver);
  return of_jobs;
}

const ModelContent& pointer_model() {
  static const ModelContent fitted = [] {
    PointerOptions options;
    options.batch = 32;
    PointerTrainer trainer(vocabulary(), options);
    EXPECT_TRUE(trainer.fit(examples(), [](const PointerProgress&) {}).ok());
    ModelContent content;
    vocabulary().describe(content);
    trainer.describe(content);
    return content;
  }();
  return fitted;
}

const ModelContent& mlp_model() {
  static const ModelContent trained = [] {
    TrainOptions options;
    options.hidden = {64, 32, 20};
    options.epochs = 8;
    options.batch = 32;
    ModelContent content;
    vocabulary().describe(content);
    content.layers =
        train_network(jobs(), vocabulary(), options, [](const TrainProgress&) {}).value().layers;
    return content;
  }();
  return trained;
}

ModelContent in(Precision precision, ModelContent content) {
  content.precisions = precisions_of(precision, content.layers.size());
  return content;
}

std::shared_ptr<const Network> kernels_of(const ModelContent& content) {
  return load_network(ModelFile::of(content).value(), "auto").value();
}

// One example as the kernels read it. Its items are of half precision, as in training.
struct Seen {
  explicit Seen(size_t place) {
    const Examples& e = examples();
    job.row_count = static_cast<uint32_t>(e.fields());
    std::copy_n(&e.rows[place * e.fields()], e.fields(), job.rows.begin());
    const float* numbers = &e.numbers[place * (kNumberCount + kHistoryNumbers)];
    std::copy_n(numbers, kNumberCount, job.numbers.begin());
    std::copy_n(numbers + kNumberCount, kHistoryNumbers, view.number.begin());
    std::copy_n(&e.log_s[place * kItems], kItems, view.log_s.begin());
    const uint16_t* half = &e.items[place * kItems * kItemInputs];
    for (auto& inputs : view.item) {
      for (float& input : inputs) input = static_cast<float>(std::bit_cast<_Float16>(*half++));
    }
    view.log_limit_s = e.log_limit[place];
  }
  EncodedJob job;
  HistoryView view{};
};

double most_difference(const Mixture& a, const Mixture& b) {
  EXPECT_EQ(a.items, b.items);
  double most = 0;
  for (size_t i = 0; i < a.items; ++i) {
    most = std::max<double>(most, std::abs(a.weight[i] - b.weight[i]));
    EXPECT_EQ(a.log_s[i], b.log_s[i]);
  }
  for (size_t i = 0; i < kBins; ++i) {
    most = std::max<double>(most, std::abs(a.bin_weight[i] - b.bin_weight[i]));
  }
  return most;
}

PointerTrainer resumed(const ModelContent& content) {
  return PointerTrainer::resume(vocabulary(), content, {}).value();
}

MlpTuner mlp_resumed(const ModelContent& content) {
  return MlpTuner::resume(vocabulary(), content, {}).value();
}

class InEachPrecision : public testing::TestWithParam<Precision> {};

std::string name_of(const testing::TestParamInfo<Precision>& test) {
  std::string name(precision_name(test.param));
  std::erase_if(name, [](char c) { return c == '-' || c == ':'; });
  return name;
}

INSTANTIATE_TEST_SUITE_P(Tune, InEachPrecision,
                         testing::Values(Precision::kFp32, Precision::kBf16, Precision::kInt8,
                                         Precision::kInt4, Precision::kInt8Pairs),
                         name_of);

TEST_P(InEachPrecision, the_pointer_network_is_trained_as_the_kernels_compute_it) {
  const ModelContent content = in(GetParam(), pointer_model());
  const auto network = kernels_of(content);
  const PointerTrainer trainer = resumed(content), exact = resumed(pointer_model());
  double apart = 0, rounding = 0;
  for (uint32_t place = 0; place < examples().size(); place += 25) {
    const Seen seen(place);
    Mixture computed, trained, unrounded;
    network->mix({&seen.job, &seen.view}, computed);
    ASSERT_TRUE(trainer.mix(examples(), place, trained).ok());
    ASSERT_TRUE(exact.mix(examples(), place, unrounded).ok());
    apart += most_difference(trained, computed);
    rounding += most_difference(trained, unrounded);
  }
  // A sum next to the middle of two steps may be rounded to either.
  if (GetParam() == Precision::kFp32) {
    EXPECT_EQ(rounding, 0);
    EXPECT_LT(apart, 1e-3);
  } else {
    EXPECT_GT(rounding, 0);
    EXPECT_LT(apart, rounding / 10);
  }
}

TEST_P(InEachPrecision, so_is_the_papers_network) {
  const ModelContent content = in(GetParam(), mlp_model());
  const auto network = kernels_of(content);
  const std::vector<float> trained = mlp_resumed(content).predict(jobs()).value();
  const std::vector<float> exact = mlp_resumed(mlp_model()).predict(jobs()).value();
  double apart = 0, rounding = 0;
  for (size_t i = 0; i < jobs().size(); ++i) {
    const EncodedJob job = vocabulary().encode(jobs()[i].request.features);
    std::array<float, kOutputCount> computed;
    network->predict({&job, 1}, computed.data());
    for (size_t k = 0; k < kOutputCount; ++k) {
      apart += std::abs(trained[i * kOutputCount + k] - computed[k]);
      rounding += std::abs(trained[i * kOutputCount + k] - exact[i * kOutputCount + k]);
    }
  }
  if (GetParam() == Precision::kFp32) {
    EXPECT_EQ(rounding, 0);
    EXPECT_LT(apart / static_cast<double>(trained.size()), 1e-4);
  } else {
    EXPECT_GT(rounding, 0);
    EXPECT_LT(apart, rounding / 10);
  }
}

ModelContent tuned_in(Precision precision, const ModelContent& content) {
  ModelContent tuned = in(precision, content);
  TuneOptions options;
  options.passes = content.pointer ? 10 : 40;
  options.until_s = kEver;
  const Result<size_t> learned = tune(
      jobs(), options, [](double) {}, tuned);
  EXPECT_TRUE(learned.ok()) << learned.error().message;
  return tuned;
}

// How far a model is from what another one says, over some jobs.
double apart(const ModelContent& content, const ModelContent& exact) {
  double sum = 0;
  const auto network = kernels_of(content), unrounded = kernels_of(exact);
  for (uint32_t place = 0; place < examples().size(); place += 10) {
    const Seen seen(place);
    if (content.pointer) {
      Mixture said, wanted;
      network->mix({&seen.job, &seen.view}, said);
      unrounded->mix({&seen.job, &seen.view}, wanted);
      sum += most_difference(said, wanted);
      continue;
    }
    std::array<float, kOutputCount> said, wanted;
    network->predict({&seen.job, 1}, said.data());
    unrounded->predict({&seen.job, 1}, wanted.data());
    for (size_t i = 0; i < kOutputCount; ++i) sum += std::abs(said[i] - wanted[i]);
  }
  return sum;
}

TEST(Tune, makes_up_for_what_rounding_costs) {
  for (const ModelContent* model : {&pointer_model(), &mlp_model()}) {
    for (const Precision precision : {Precision::kInt4, Precision::kInt8Pairs}) {
      const double rounded = apart(in(precision, *model), *model);
      const double tuned = apart(tuned_in(precision, *model), *model);
      EXPECT_LT(tuned, rounded * .8) << precision_name(precision);
    }
  }
}

TEST(Tune, leaves_fp32_as_it_is) {
  for (const ModelContent* model : {&pointer_model(), &mlp_model()}) {
    EXPECT_TRUE(*model_bytes(tuned_in(Precision::kFp32, *model)) ==
                *model_bytes(in(Precision::kFp32, *model)));
  }
}

TEST(Tune, gives_the_same_model_for_the_same_seed) {
  for (const ModelContent* model : {&pointer_model(), &mlp_model()}) {
    const ModelContent tuned = tuned_in(Precision::kInt8Pairs, *model);
    EXPECT_TRUE(*model_bytes(tuned) == *model_bytes(tuned_in(Precision::kInt8Pairs, *model)));
    EXPECT_FALSE(*model_bytes(tuned) == *model_bytes(in(Precision::kInt8Pairs, *model)));
  }
}

// A site's learner, too: also with a list of precisions, which no backend is named after.
TEST(Tune, whoever_learns_on_keeps_the_precisions) {
  ModelContent content = pointer_model();
  content.precisions = {Precision::kInt8, Precision::kInt8Pairs, Precision::kInt4};
  RehearsalOptions rehearsal;
  rehearsal.from_s = submit_point_s(jobs(), .5);
  rehearsal.until_s = kEver;
  const Result<Scores> scores = rehearse(jobs(), rehearsal, content, [] {});
  ASSERT_TRUE(scores.ok()) << scores.error().message;
  EXPECT_EQ(ModelFile::of(content).value()->summary().precision, "int8,int8-2:4,int4");
  EXPECT_FALSE(content.layers[1].weights == pointer_model().layers[1].weights);
}

TEST(Tune, names_what_is_missing) {
  TuneOptions options;
  options.until_s = submit_point_s(jobs(), .1);
  ModelContent content = in(Precision::kInt4, pointer_model());
  EXPECT_THAT(tune(
                  jobs(), options, [](double) {}, content)
                  .error()
                  .message,
              HasSubstr("are too few, 100 are needed"));
  options.until_s = kEver;
  content.layers[1].outputs = 7;
  EXPECT_THAT(tune(
                  jobs(), options, [](double) {}, content)
                  .error()
                  .message,
              HasSubstr("shapes are not those that this build trains"));
  EXPECT_THAT(MlpTuner::resume(vocabulary(), pointer_model(), {}).error().message,
              HasSubstr("reads the history"));
}

}  // namespace
}  // namespace auspex
