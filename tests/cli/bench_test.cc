// SPDX-License-Identifier: Apache-2.0
// auspex bench as a program: what it measures, and what it says of it. How fast it is, no test
// asks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "kernels/network.h"
#include "tests/cli/run_auspex.h"
#include "tests/fixtures/files.h"
#include "tests/fixtures/models.h"

namespace auspex::cli {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using Words = std::vector<std::string>;

Ran bench(Words words) {
  Words all = {"bench", "--no-peers"};
  all.insert(all.end(), words.begin(), words.end());
  return run_auspex(all);
}

json rows_of(Words words) {
  words.push_back("--json");
  const Ran ran = bench(words);
  EXPECT_EQ(ran.code, 0) << ran.err;
  const json answer = json::parse(ran.out, nullptr, false);
  EXPECT_TRUE(answer.is_object() && answer.contains("rows")) << ran.out;
  return answer.is_object() ? answer.value("rows", json::array()) : json::array();
}

const Words kSmall = {"--hidden", "32,16",   "--batch", "1",        "--batch",
                      "4",        "--cache", "warm",    "--trials", "20"};

const json& small_rows() {
  static const json rows = rows_of(kSmall);
  return rows;
}

// As load_network() names it.
std::string backend_of(const json& row) {
  const std::string backend = row["backend"], precision = row["precision"];
  if (backend == "reference") return backend;
  return precision + (row["sparsity"] == "2:4" ? "-2:4-" : "-") + backend;
}

TEST(Bench, rows_have_the_keys_of_the_contract) {
  const json& rows = small_rows();
  ASSERT_THAT(rows, Not(IsEmpty()));
  const std::set<std::string> required = {"batch",     "technique", "backend", "precision",
                                          "sparsity",  "input",     "hidden",  "cache",
                                          "median_us", "p99_us",    "trials"};
  for (const json& row : rows) {
    std::set<std::string> keys;
    for (const auto& [key, value] : row.items()) keys.insert(key);
    keys.erase("bytes"), keys.erase("floor_us");
    EXPECT_EQ(keys, required) << row;
    EXPECT_EQ(row["hidden"], "32-16");
    EXPECT_EQ(row["technique"], "auspex");
  }
}

TEST(Bench, times_are_times) {
  for (const json& row : small_rows()) {
    EXPECT_GT(row["median_us"], 0) << row;
    EXPECT_GE(row["p99_us"], row["median_us"]) << row;
    EXPECT_GE(row["trials"], 1) << row;
    EXPECT_LE(row["trials"], 20) << row;
  }
}

TEST(Bench, every_backend_that_runs_here_is_measured) {
  std::set<std::string> measured;
  for (const json& row : small_rows()) {
    if (row["batch"] == 4) measured.insert(backend_of(row));
  }
  std::set<std::string> available;
  for (const AvailableBackend& backend : available_backends()) available.insert(backend.name);
  EXPECT_EQ(measured, available);
}

TEST(Bench, rows_are_skipped_of_single_samples_alone) {
  size_t skipping = 0;
  for (const json& row : small_rows()) {
    if (row["sparsity"] != "rows") continue;
    EXPECT_EQ(row["batch"], 1) << row;
    ++skipping;
  }
  EXPECT_GT(skipping, 0);
}

TEST(Bench, a_single_sample_has_a_floor) {
  size_t with_floor = 0;
  for (const json& row : small_rows()) {
    EXPECT_EQ(row.contains("bytes"), row.contains("floor_us")) << row;
    if (!row.contains("bytes")) continue;
    EXPECT_EQ(row["batch"], 1) << row;
    EXPECT_GT(row["floor_us"], 0) << row;
    ++with_floor;
  }
  EXPECT_GT(with_floor, 0);
}

// 14 rows of 32 weights; 6 numbers' rows in BF16 unless all is FP32; 32 x 16 and 16 outputs' worth.
TEST(Bench, bytes_are_those_of_the_layers) {
  const size_t first = 14 * 32, numbers = 6 * 32, second = 32 * 16, last = 16 * kOutputCount;
  size_t checked = 0;
  for (const json& row : small_rows()) {
    if (!row.contains("bytes") || row["input"] != "gather" || row["sparsity"] != "none") continue;
    if (row["precision"] == "fp32") {
      EXPECT_EQ(row["bytes"], 4 * (first + numbers + second + last)) << row;
      ++checked;
    }
    if (row["precision"] == "int8") {
      EXPECT_EQ(row["bytes"], first + 2 * numbers + second + 2 * last) << row;
      ++checked;
    }
  }
  EXPECT_GE(checked, 4);
}

TEST(Bench, cold_is_measured_of_a_single_sample) {
  std::set<std::pair<int, std::string>> measured;
  for (const json& row : rows_of({"--hidden", "32,16", "--batch", "1", "--batch", "4", "--trials",
                                  "4", "--backend", "int8-portable"})) {
    measured.emplace(row["batch"].get<int>(), row["cache"].get<std::string>());
  }
  const std::set<std::pair<int, std::string>> expected = {{1, "warm"}, {4, "warm"}, {1, "cold"}};
  EXPECT_EQ(measured, expected);
}

TEST(Bench, options_choose) {
  const json rows = rows_of({"--hidden", "32,16", "--batch", "2", "--trials", "2", "--backend",
                             "fp32-portable", "--input", "gather", "--cache", "warm"});
  ASSERT_EQ(rows.size(), 1);
  EXPECT_EQ(rows[0]["backend"], "portable");
  EXPECT_EQ(rows[0]["batch"], 2);
}

// A card that is emulated. Of INT4, whose first layer is INT8, a dense input says nothing new; a
// kernel that stays has none, and answers single samples.
TEST(Bench, a_card_has_dense_inputs_and_kernels_that_stay) {
  ::setenv("LD_LIBRARY_PATH", AUSPEX_EMULATED_CARD "/card:" AUSPEX_EMULATED_CARD "/driver", 1);
  const fixtures::TemporaryFolder folder;
  ASSERT_TRUE(write_model_file(folder / "model", fixtures::random_model({32, 16}, 5, 1)).ok());
  const json rows = rows_of({"--model", folder / "model", "--batch", "1", "--trials", "1",
                             "--backend", "bf16-cuda", "--backend", "int4-cuda", "--backend",
                             "int8-cuda-persistent", "--cache", "warm"});
  ::unsetenv("LD_LIBRARY_PATH");
  std::set<std::string> measured;
  for (const json& row : rows) {
    measured.insert(backend_of(row) + " " + row["input"].get<std::string>());
  }
  const std::set<std::string> expected = {"bf16-cuda gather",           "bf16-cuda dense",
                                          "int4-cuda gather",           "bf16-cuda-kernel gather",
                                          "bf16-cuda-kernel dense",     "int4-cuda-kernel gather",
                                          "int8-cuda-persistent gather"};
  EXPECT_EQ(measured, expected);
}

TEST(Bench, several_networks) {
  std::set<std::string> hidden;
  for (const json& row : rows_of({"--hidden", "32,16", "--hidden", "48", "--batch", "1", "--trials",
                                  "2", "--backend", "fp32", "--cache", "warm"})) {
    hidden.insert(row["hidden"]);
  }
  EXPECT_EQ(hidden, (std::set<std::string>{"32-16", "48"}));
}

TEST(Bench, a_model_file_of_either_kind) {
  const fixtures::TemporaryFolder folder;
  const Words words = {"--model", folder / "model", "--trials", "5",       "--batch",
                       "1",       "--batch",        "4",        "--cache", "warm"};
  ASSERT_TRUE(write_model_file(folder / "model", fixtures::random_model({40, 24}, 9, 1)).ok());
  const json paper = rows_of(words);
  ASSERT_THAT(paper, Not(IsEmpty()));
  EXPECT_EQ(paper[0]["hidden"], "40-24");

  ASSERT_TRUE(
      write_model_file(folder / "model", fixtures::random_pointer_model({40, 24}, 16, 9, 1)).ok());
  const json pointer = rows_of(words);
  ASSERT_THAT(pointer, Not(IsEmpty()));
  for (const json& row : pointer) EXPECT_EQ(row["batch"], 1) << row;
}

TEST(Bench, a_table_for_people) {
  const Ran ran = bench({"--hidden", "32,16", "--batch", "1", "--batch", "16384", "--trials", "5",
                         "--backend", "int8", "--backend", "fp32"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("32-16\n"));
  EXPECT_THAT(ran.out, HasSubstr("median us"));
  std::istringstream lines(ran.out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 110) << line;
}

TEST(Bench, the_figure_is_well_formed) {
  const fixtures::TemporaryFolder folder;
  const Ran ran = bench({"--hidden", "32,16", "--batch", "1", "--batch", "4", "--trials", "5",
                         "--cache", "warm", "--svg", folder / "f.svg"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const std::string svg = fixtures::read_file(folder / "f.svg");
  EXPECT_THAT(svg, HasSubstr("32-16, median"));
  EXPECT_THAT(svg, HasSubstr("auspex int8"));
  EXPECT_EQ(std::system(("python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])' " +
                         (folder / "f.svg"))
                            .c_str()),
            0);
}

TEST(Bench, wrong_words_are_named) {
  for (const char* hidden :
       {"", "512,,128", "512,x", "0", "512,", "9999999999", "1,1,1,1,1,1,1,1,1"}) {
    const Ran ran = bench({"--hidden", hidden});
    EXPECT_EQ(ran.code, 2) << hidden;
    EXPECT_THAT(ran.err, HasSubstr(std::string("--hidden ") + hidden));
  }
  const Ran backend = bench({"--backend", "int9-abacus"});
  EXPECT_EQ(backend.code, 2);
  EXPECT_THAT(backend.err, HasSubstr("int9-abacus"));
  EXPECT_THAT(backend.err, HasSubstr("fp32-portable"));
  EXPECT_EQ(bench({"--batch", "0"}).code, 2);
  EXPECT_EQ(bench({"--batch", "16385"}).code, 2);
  EXPECT_EQ(bench({"--cache", "tepid"}).code, 2);
  EXPECT_EQ(bench({"--svg", "/nonexistent/f.svg", "--hidden", "32"}).code, 2);
  EXPECT_EQ(bench({"--model", "/nonexistent/model"}).code, 2);
}

}  // namespace
}  // namespace auspex::cli
