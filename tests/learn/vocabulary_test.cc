// SPDX-License-Identifier: Apache-2.0
#include "learn/vocabulary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "tests/fixtures/files.h"
#include "tests/fixtures/histories.h"
#include "tests/fixtures/models.h"

namespace auspex {
namespace {

constexpr size_t kUser = 0, kAccount = 2;  // positions in kCategoryNames

// Users a, b and c have five, three and two jobs; accounts are set by hand.
std::vector<HistoryJob> three_users() {
  std::vector<HistoryJob> jobs;
  for (const auto& [user, count] : {std::pair{"a", 5}, {"b", 3}, {"c", 2}}) {
    for (int index = 0; index < count; ++index) {
      jobs.push_back(fixtures::history_job(user, 0, 60, 60));
    }
  }
  return jobs;
}

ModelContent described(const Vocabulary& vocabulary) {
  ModelContent content;
  vocabulary.describe(content);
  return content;
}

TEST(Vocabulary, folds_rare_categories_into_unknown) {
  const std::vector<HistoryJob> jobs = three_users();
  const Vocabulary vocabulary = Vocabulary::of(jobs);
  const ModelContent content = described(vocabulary);
  EXPECT_EQ(content.fields[kUser].rows.size(), 2U);
  const EncodedJob a = vocabulary.encode(jobs[0].request.features);
  const EncodedJob c = vocabulary.encode(jobs[9].request.features);
  const auto unknown = static_cast<uint32_t>(content.fields[kUser].unknown_row);
  EXPECT_NE(a.rows[0], unknown);
  EXPECT_EQ(c.rows[0], unknown);
  EXPECT_EQ(vocabulary.unknown_rows().size(), a.row_count);
}

TEST(Vocabulary, drops_fields_that_never_vary) {
  const ModelContent content = described(Vocabulary::of(three_users()));
  EXPECT_EQ(content.fields[kAccount].unknown_row, -1);  // missing everywhere
  EXPECT_EQ(content.fields[kAccount].missing_row, -1);
  EXPECT_TRUE(content.fields[kAccount].rows.empty());
  const std::vector<HistoryJob> same(10, fixtures::history_job("a", 0, 60, 60));
  EXPECT_EQ(Vocabulary::of(same).row_count(), 0U);
  EXPECT_EQ(Vocabulary::of(std::vector<HistoryJob>()).row_count(), 0U);
}

TEST(Vocabulary, knows_owners_by_user_or_by_account) {
  std::vector<HistoryJob> jobs = three_users();
  EXPECT_TRUE(Vocabulary::of(jobs).knows_owners());
  EXPECT_FALSE(Vocabulary::of(jobs, /*ids=*/false).knows_owners());
  for (HistoryJob& job : jobs) {
    std::swap(job.request.features.category[kUser], job.request.features.category[kAccount]);
  }
  EXPECT_TRUE(Vocabulary::of(jobs).knows_owners());
  EXPECT_TRUE(Vocabulary::of(described(Vocabulary::of(jobs))).knows_owners()) << "that of a model";
}

TEST(Vocabulary, tells_missing_from_unknown_where_training_had_both) {
  std::vector<HistoryJob> jobs = three_users();
  ModelContent content = described(Vocabulary::of(jobs));
  EXPECT_EQ(content.fields[kUser].missing_row, content.fields[kUser].unknown_row);
  jobs[0].request.features.category[kUser] = Features::kMissing;
  content = described(Vocabulary::of(jobs));
  EXPECT_NE(content.fields[kUser].missing_row, content.fields[kUser].unknown_row);
}

TEST(Vocabulary, scales_numbers) {
  std::vector<HistoryJob> jobs = three_users();
  for (size_t index = 0; index < jobs.size(); ++index) {
    jobs[index].request.features.number[0] = static_cast<float>(index);
    jobs[index].request.features.number[1] = NAN;
  }
  jobs[9].request.features.number[0] = NAN;
  const Vocabulary vocabulary = Vocabulary::of(jobs);
  const ModelContent content = described(vocabulary);
  EXPECT_EQ(content.numbers[0].median, 4);  // of 0 ... 8
  EXPECT_FLOAT_EQ(content.numbers[0].mean, 4);
  EXPECT_FLOAT_EQ(content.numbers[0].sd, std::sqrt(6.0F));
  EXPECT_EQ(content.numbers[1].sd, 1);  // nothing known: no scale
  EXPECT_EQ(vocabulary.encode(jobs[9].request.features).numbers[0], 0);
  EXPECT_FLOAT_EQ(vocabulary.encode(jobs[8].request.features).numbers[0], 4 / std::sqrt(6.0F));
}

TEST(Vocabulary, encodes_as_the_model_file_does) {
  const fixtures::TemporaryFolder folder;
  fixtures::write_file(folder / "jobs", fixtures::swf_history(300, 1));
  const Result<History> history = read_history({{folder / "jobs"}, JobFormat::kSwf, {}});
  ASSERT_TRUE(history.ok());
  const Vocabulary vocabulary = Vocabulary::of(history->jobs);
  ASSERT_GT(vocabulary.row_count(), 10U);

  // Any layers of the right shape will do.
  ModelContent content = fixtures::constant_model(60);
  vocabulary.describe(content);
  ModelContent::Layer& first = content.layers.front();
  first.inputs = vocabulary.row_count() + static_cast<uint32_t>(kNumberCount);
  first.weights.assign(size_t{first.inputs} * first.outputs, 0.0F);
  ASSERT_TRUE(write_model_file(folder / "model", content).ok());
  const auto model = ModelFile::open(folder / "model");
  ASSERT_TRUE(model.ok()) << model.error().message;

  std::vector<HistoryJob> jobs = history->jobs;
  jobs.push_back(fixtures::history_job("stranger", 0, 60, 77));
  jobs.push_back(fixtures::history_job("", 0, 60, 77));
  for (const HistoryJob& job : jobs) {
    const EncodedJob expected = (*model)->encode(job.request.features);
    const EncodedJob encoded = vocabulary.encode(job.request.features);
    ASSERT_EQ(encoded.row_count, expected.row_count);
    EXPECT_TRUE(std::is_permutation(encoded.rows.begin(), encoded.rows.begin() + encoded.row_count,
                                    expected.rows.begin()));
    for (size_t index = 0; index < kNumberCount; ++index) {
      EXPECT_NEAR(encoded.numbers[index], expected.numbers[index], 1e-5);
    }
  }
}

}  // namespace
}  // namespace auspex
