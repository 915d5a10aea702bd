// SPDX-License-Identifier: Apache-2.0
#include "shared/model_file.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "shared/model_generated.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/models.h"

namespace auspex {
namespace {

using fixtures::read_file;
using fixtures::TemporaryFolder;
using fixtures::write_file;

std::string bytes_of(const ModelContent& content) {
  const TemporaryFolder folder;
  EXPECT_TRUE(write_model_file(folder / "m", content).ok());
  return read_file(folder / "m");
}

std::string error_of(const std::string& bytes) {
  const TemporaryFolder folder;
  write_file(folder / "m", bytes);
  const auto model = ModelFile::open(folder / "m");
  if (model.ok()) return "";
  EXPECT_EQ(model.error().message.find(folder / "m"), 0U) << "the error names the file";
  return model.error().message.substr((folder / "m").size() + 2);
}

// As a forger would: the checksum is right again.
std::string sealed(std::string bytes) {
  const uint64_t checksum = XXH3_64bits(bytes.data() + 64, bytes.size() - 64);
  std::memcpy(bytes.data() + 24, &checksum, sizeof(checksum));
  return bytes;
}

TEST(ModelFile, ReadsBackWhatWasWritten) {
  const TemporaryFolder folder;
  ModelContent content = fixtures::random_model({16, 8}, 4, 1);
  content.trained_on = "cedar.csv";
  content.created_s = 12345;
  content.numbers[1] = {3, 2, 4};
  content.precisions = {Precision::kInt8, Precision::kInt4, Precision::kBf16};
  ASSERT_TRUE(write_model_file(folder / "m", content).ok());
  const auto opened = ModelFile::open(folder / "m");
  ASSERT_TRUE(opened.ok()) << opened.error().message;
  const ModelFile& model = **opened;
  ASSERT_EQ(model.layers().size(), content.layers.size());
  for (size_t i = 0; i < content.layers.size(); ++i) {
    const LayerView& layer = model.layers()[i];
    const auto& written = content.layers[i];
    EXPECT_EQ(layer.inputs, written.inputs);
    EXPECT_EQ(layer.outputs, written.outputs);
    EXPECT_EQ(layer.relu, written.relu);
    EXPECT_EQ(std::memcmp(layer.weights, written.weights.data(), 4 * written.weights.size()), 0);
    EXPECT_EQ(std::memcmp(layer.bias, written.bias.data(), 4 * written.bias.size()), 0);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(layer.weights) % 32, 0U);
  }
  const ModelSummary& summary = model.summary();
  EXPECT_EQ(summary.trained_on, "cedar.csv");
  EXPECT_EQ(summary.created_s, 12345);
  EXPECT_EQ(summary.precision, "int4");
  EXPECT_EQ(model.layers()[1].precision, Precision::kInt4);
  EXPECT_EQ(model.content().precisions, content.precisions);
  EXPECT_EQ(summary.id.size(), 8U);
  EXPECT_EQ(summary.layer_sizes, (std::vector<uint32_t>{14 * 6 + 6, 16, 8, 10}));
  ASSERT_EQ(summary.categories.size(), kCategoryCount);
  EXPECT_EQ(summary.categories[0], std::make_pair(std::string("user"), 4U));
}

TEST(ModelFile, RefusesAPrecisionThatItDoesNotKnow) {
  ModelContent content = fixtures::constant_model(600);
  content.precisions = {Precision::kFp32, static_cast<Precision>(9)};
  const auto model = ModelFile::of(content);
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.error().message.find("precision 9, which this build does not know"),
            std::string::npos);
  content.precisions = {Precision::kInt8};
  EXPECT_NE(ModelFile::of(content).error().message.find("not one precision for each layer"),
            std::string::npos);
}

TEST(ModelFile, BringsItsCalibration) {
  ModelContent content = fixtures::random_pointer_model({9, 5}, 7, 4, 1);
  EXPECT_EQ((*ModelFile::of(content))->calibration().jobs(), 0U);
  content.calibration = fixtures::proven_calibration().state();
  const auto model = ModelFile::of(content);
  ASSERT_TRUE(model.ok()) << model.error().message;
  const Calibration& calibration = (*model)->calibration();
  EXPECT_EQ(calibration.jobs(), Calibration::kLeast);
  EXPECT_EQ(calibration.recipe(0), Recipe::kRaw);
  EXPECT_FALSE(calibration.promise({}, 2, 9, 60).is_new);
  EXPECT_TRUE(calibration.promise({}, 3, 9, 60).is_new);
  const CalibrationState again = (*model)->content().calibration;
  EXPECT_EQ(again.window, content.calibration.window);
  ASSERT_EQ(again.users.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(again.users[i].key, content.calibration.users[i].key);
    EXPECT_EQ(again.users[i].scores, content.calibration.users[i].scores);
  }
}

TEST(ModelFile, RefusesACalibrationThatCannotBeOne) {
  ModelContent content = fixtures::random_pointer_model({9, 5}, 7, 4, 1);
  content.calibration = fixtures::proven_calibration().state();
  content.calibration.users[1].key = content.calibration.users[0].key;
  EXPECT_EQ(error_of(bytes_of(content)), "calibration: a user twice");
  content = fixtures::constant_model(600);
  content.calibration = fixtures::proven_calibration().state();
  EXPECT_EQ(error_of(bytes_of(content)), "a calibration without a pointer network");
}

TEST(ModelFile, EncodesKnownUnknownAndMissing) {
  const TemporaryFolder folder;
  ModelContent content = fixtures::random_model({8}, 50, 1);
  content.numbers[1] = {3, 2, 4};
  content.fields[5] = {};  // a field that never varied in training
  ASSERT_TRUE(write_model_file(folder / "m", content).ok());
  const auto model = *ModelFile::open(folder / "m");
  Features f;
  f.number.fill(NAN);
  for (size_t i = 0; i < kCategoryCount; ++i) {
    for (const auto& [hash, row] : content.fields[i].rows) {
      f.category = {};
      f.category[i] = hash;
      const EncodedJob job = model->encode(f);
      ASSERT_EQ(job.row_count, kCategoryCount - 1);
      const size_t at = i < 5 ? i : i - 1;
      EXPECT_EQ(job.rows[at], row);
    }
  }
  f.category.fill(4711);  // the same hash in every field: none of theirs
  const EncodedJob unknown = model->encode(f);
  EXPECT_EQ(unknown.rows[0], static_cast<uint32_t>(content.fields[0].unknown_row));
  f.category.fill(Features::kMissing);
  const EncodedJob missing = model->encode(f);
  EXPECT_EQ(missing.rows[0], static_cast<uint32_t>(content.fields[0].missing_row));
  EXPECT_FLOAT_EQ(missing.numbers[1], (3.0F - 2) / 4) << "the median, z-scored";
  f.number[1] = 10;
  EXPECT_FLOAT_EQ(model->encode(f).numbers[1], 2);
}

TEST(ModelFile, RefusesEveryTruncation) {
  const std::string whole = bytes_of(fixtures::constant_model(600));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(error_of(whole.substr(0, size)).find("truncated"), 0U) << size;
  }
  EXPECT_EQ(error_of(whole + "x").find("truncated or extended"), 0U);
}

TEST(ModelFile, NoticesEveryFlippedBit) {
  const std::string whole = bytes_of(fixtures::constant_model(600));
  for (size_t at = 64; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    EXPECT_EQ(error_of(bytes), "altered: the checksum does not match") << at;
  }
}

// With a checksum that fits, whatever is accepted must be safe to use; the sanitizers watch.
TEST(ModelFile, SurvivesForgedContent) {
  ModelContent content = fixtures::random_pointer_model({3}, 2, 1, 2);
  content.calibration = fixtures::proven_calibration().state();
  content.calibration.window.resize(40);
  for (auto& user : content.calibration.users) user.scores.resize(3);
  const std::string whole = bytes_of(content);
  int refused = 0, accepted = 0;
  for (size_t at = 64; at < whole.size(); ++at) {
    for (const int change : {0x01, 0x40, 0xff}) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ change);
      const TemporaryFolder folder;
      write_file(folder / "m", sealed(bytes));
      const auto model = ModelFile::open(folder / "m");
      ++(model.ok() ? accepted : refused);
      if (!model.ok()) continue;
      const EncodedJob job = (*model)->encode({});
      for (uint32_t i = 0; i < job.row_count; ++i) {
        EXPECT_LT(job.rows[i], (*model)->layers()[0].inputs);
      }
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_GT(accepted, 0);  // another weight is another model
}

TEST(ModelFile, NamesWhatItIsNot) {
  std::string bytes = bytes_of(fixtures::constant_model(600));
  bytes[0] = 'X';
  EXPECT_EQ(error_of(bytes), "not an Auspex model");
  bytes[0] = 'A';
  bytes[8] = 1;
  EXPECT_EQ(error_of(bytes), "model file version 1, this build reads 3");
  EXPECT_EQ(error_of(std::string(1000, '\0')), "not an Auspex model");
}

TEST(ModelFile, RefusesShapesThatDoNotFit) {
  const auto with = [](void (*change)(ModelContent&)) {
    ModelContent content = fixtures::random_model({4}, 1, 2);
    change(content);
    return error_of(bytes_of(content));
  };
  EXPECT_EQ(with([](ModelContent&) {}), "");
  EXPECT_EQ(with([](ModelContent& c) { c.layers[1].inputs = 5; }),
            "layers that do not fit each other");
  EXPECT_EQ(with([](ModelContent& c) { c.layers[0].bias.pop_back(); }),
            "layers that do not fit each other");
  EXPECT_EQ(with([](ModelContent& c) { c.layers.pop_back(); }), "fewer than two layers");
  EXPECT_EQ(with([](ModelContent& c) {
              c.layers[1] = {4, 3, std::vector<float>(12), std::vector<float>(3), false};
            }),
            "not 10 outputs");
  EXPECT_EQ(with([](ModelContent& c) { c.fields[0].unknown_row = 1'000'000; }),
            "a field's row outside the first layer");
  EXPECT_EQ(with([](ModelContent& c) { c.fields[0].rows[0].second = 1'000'000; }),
            "a category's row outside the first layer");
}

using Model = model::RuntimeModel;

// What is said of a whole file after a change to its content, sealed again.
std::string forged(const std::function<void(const Model&)>& change) {
  const std::string bytes = bytes_of(fixtures::random_model({4}, 3, 2));
  const std::string payload = bytes.substr(64);
  change(*model::GetRuntimeModel(payload.data()));
  return error_of(sealed(bytes.substr(0, 64) + payload));
}

template <class T>
void overwrite(const void* at, T value) {
  std::memcpy(const_cast<void*>(at), &value, sizeof(value));
}

// Source: FlatBuffers' format; a vector begins with its length.
void set_length(const void* vector, uint32_t length) {
  overwrite(vector, length);
}

TEST(ModelFile, RefusesALookupThatReadsElsewhere) {
  EXPECT_EQ(forged([](const Model&) {}), "");
  EXPECT_EQ(forged([](const Model& m) { set_length(m.lookup()->pilots(), 0); }),
            "a category lookup of 0 pilots and 45 entries");
  EXPECT_EQ(forged([](const Model& m) { set_length(m.lookup()->entries(), 0); }),
            "a category lookup of 11 pilots and 0 entries");
  const std::string lost = "field user: a value without its entry in the category lookup";
  EXPECT_EQ(forged([](const Model& m) { set_length(m.lookup()->pilots(), 1); }), lost);
  EXPECT_EQ(forged([](const Model& m) { set_length(m.lookup()->entries(), 2); }), lost);
  EXPECT_EQ(forged([](const Model& m) { set_length(m.lookup()->pilots(), 1U << 30); }),
            "the content is not a runtime model");
  for (const auto scalar : {model::Lookup::VT_SALT, model::Lookup::VT_SEED}) {
    EXPECT_EQ(forged([scalar](const Model& m) {
                const auto* table = reinterpret_cast<const flatbuffers::Table*>(m.lookup());
                overwrite(table->GetAddressOf(scalar), uint64_t{4711});
              }),
              lost);
  }
  for (const uint32_t row : {14U * 5, 0xfffffffeU}) {
    EXPECT_EQ(forged([row](const Model& m) {
                for (const auto* entry : *m.lookup()->entries()) {
                  overwrite(entry, model::CategoryEntry(entry->fingerprint(), row));
                }
              }),
              "a category's row outside the first layer");
  }
}

TEST(ModelFile, RefusesValuesThatAreNotThoseOfItsLookup) {
  const auto users = [](const Model& m) { return m.fields()->Get(0)->values(); };
  const auto with_first = [&](uint64_t (*other)(const flatbuffers::Vector<uint64_t>&)) {
    return forged([&](const Model& m) { overwrite(users(m)->Data(), other(*users(m))); });
  };
  EXPECT_EQ(forged([&](const Model& m) { set_length(users(m), 2); }),
            "a category lookup of 42 rows for 41 values");
  const std::string unsorted = "field user: its values do not ascend";
  EXPECT_EQ(with_first([](const auto& values) { return values.Get(1); }), unsorted);
  EXPECT_EQ(with_first([](const auto&) { return Features::kMissing; }), unsorted);
  EXPECT_EQ(with_first([](const auto& values) { return values.Get(0) - 1; }),
            "field user: a value without its entry in the category lookup");
}

// A model is trained on and quantized from its content: nothing may get lost or depend on order.
TEST(ModelFile, ContentMakesTheSameFile) {
  ModelContent content = fixtures::random_pointer_model({9, 5}, 7, 40, 1);
  content.calibration = fixtures::proven_calibration().state();
  const std::string bytes = bytes_of(content);
  for (auto& field : content.fields) std::reverse(field.rows.begin(), field.rows.end());
  EXPECT_TRUE(bytes_of(content) == bytes) << "the order of a field's rows";
  const ModelContent again = (*ModelFile::of(content))->content();
  EXPECT_TRUE(bytes_of(again) == bytes);
  for (const auto& field : again.fields) {
    EXPECT_TRUE(std::is_sorted(field.rows.begin(), field.rows.end()));
  }
}

TEST(ModelFile, MayHaveFieldsWithoutValues) {
  ModelContent content = fixtures::random_model({4}, 3, 2);
  for (auto& field : content.fields) {
    field.rows.clear();
    EXPECT_EQ(error_of(bytes_of(content)), "");
  }
}

TEST(ModelFile, TellsTheFieldsOfOneHashApart) {
  ModelContent content = fixtures::random_model({4}, 1, 2);
  for (auto& field : content.fields) field.rows[0].first = 4711;
  const auto model = ModelFile::of(content);
  ASSERT_TRUE(model.ok()) << model.error().message;
  Features features;
  features.category.fill(4711);
  const EncodedJob job = (*model)->encode(features);
  ASSERT_EQ(job.row_count, kCategoryCount);
  for (size_t i = 0; i < kCategoryCount; ++i) {
    EXPECT_EQ(job.rows[i], content.fields[i].rows[0].second);
  }
}

TEST(ModelFile, RefusesAValueTwiceInAField) {
  ModelContent content = fixtures::random_model({4}, 2, 2);
  content.fields[3].rows[0].first = content.fields[3].rows[1].first = 4711;
  const auto model = ModelFile::of(content);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().message, "model in memory: field partition: the value 4711 twice");
}

TEST(ModelFile, NamesWhatCannotBeOpened) {
  EXPECT_EQ(ModelFile::open("/nonexistent").error().message,
            "/nonexistent: No such file or directory");
  EXPECT_EQ(ModelFile::open("/tmp").error().message, "/tmp: not a regular file");
}

TEST(ModelFile, AFailedWriteLeavesTheOldFileAndNothingElse) {
  const TemporaryFolder folder;
  const auto written = write_model_file(folder / "no/such/folder/m", fixtures::constant_model(60));
  ASSERT_FALSE(written.ok());
  EXPECT_NE(written.error().message.find("No such file or directory"), std::string::npos);
  ASSERT_TRUE(write_model_file(folder / "m", fixtures::constant_model(60)).ok());
  const std::string before = read_file(folder / "m");
  std::filesystem::create_directory(folder / "d");
  EXPECT_FALSE(write_model_file(folder / "d", fixtures::constant_model(99)).ok());
  EXPECT_EQ(read_file(folder / "m"), before);
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    ++files;
  }
  EXPECT_EQ(files, 2U) << "no temporary file is left";
}

}  // namespace
}  // namespace auspex
