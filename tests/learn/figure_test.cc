// SPDX-License-Identifier: Apache-2.0
#include "learn/figure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <regex>
#include <string>
#include <vector>

namespace auspex {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

ScoredJob job(double predicted_s, double actual_s) {
  return {.predicted_s = predicted_s,
          .actual_s = actual_s,
          .limit_s = 7200,
          .accuracy = std::min(predicted_s, actual_s) / std::max(predicted_s, actual_s),
          .confidence = 0.5,
          .covered_p90 = true,
          .covered_p95 = true,
          .covered_p99 = true};
}

std::vector<std::string> found(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  std::vector<std::string> all;
  for (std::sregex_iterator at(text.begin(), text.end(), regex), end; at != end; ++at) {
    all.push_back((*at)[1]);
  }
  return all;
}

std::string panel(const std::string& svg, const std::string& id) {
  const size_t begin = svg.find("<g id=\"" + id + "\">");
  EXPECT_NE(begin, std::string::npos) << id;
  return svg.substr(begin, svg.find("<g id=", begin + 1) - begin);
}

// Elements that open and close in order, attributes in quotes, no bare character of markup. By
// hand: std::regex recurses for each character, and a path has tens of thousands.
void expect_well_formed(const std::string& svg) {
  ASSERT_TRUE(svg.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg "));
  std::vector<std::string> open;
  size_t at = svg.find('\n') + 1;
  while (at < svg.size()) {
    ASSERT_EQ(svg[at], '<') << svg.substr(at, 80);
    const size_t end = svg.find('>', at);
    ASSERT_NE(end, std::string::npos) << svg.substr(at, 80);
    const std::string tag = svg.substr(at + 1, end - at - 1);
    ASSERT_EQ(tag.find('<'), std::string::npos) << tag;
    ASSERT_EQ(std::ranges::count(tag, '"') % 2, 0) << tag;
    ASSERT_EQ(std::ranges::count(tag, '"'), 2 * std::ranges::count(tag, '=')) << tag;
    const size_t name_at = tag[0] == '/' ? 1 : 0;
    const std::string name = tag.substr(name_at, tag.find_first_of(" /", name_at) - name_at);
    if (tag[0] == '/') {
      ASSERT_FALSE(open.empty()) << tag;
      ASSERT_EQ(open.back(), name);
      open.pop_back();
    } else if (tag.back() != '/') {
      open.push_back(name);
    }
    const size_t next = std::min(svg.find('<', end), svg.size());
    const std::string text = svg.substr(end + 1, next - end - 1);
    ASSERT_EQ(text.find('>'), std::string::npos) << text;
    ASSERT_EQ(std::ranges::count(text, '&'), std::ranges::count(text, ';')) << text;
    if (open.empty()) {
      ASSERT_EQ(next, svg.size()) << "more than one root";
    }
    at = next;
  }
  EXPECT_TRUE(open.empty());
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(Figure, says_that_there_are_no_jobs) {
  const std::string svg = evaluation_figure({}, "nothing");
  expect_well_formed(svg);
  for (const char* id : {"density", "coverage", "confidence"}) {
    EXPECT_THAT(panel(svg, id), HasSubstr("no jobs"));
  }
}

TEST(Figure, escapes_the_title_and_keeps_other_alphabets) {
  const std::string svg = evaluation_figure({}, "a<b> & \"Zürich\" \u8a08\u7b97");
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr("<title>a&#60;b&#62; &#38; \"Zürich\" \u8a08\u7b97</title>"));
}

TEST(Figure, replaces_what_xml_cannot_hold) {
  // A control character, a lone continuation, an overlong '/', a surrogate, U+FFFE, a cut
  // character.
  const std::string svg =
      evaluation_figure({}, "a\x01 b\x80 c\xc0\xaf d\xed\xa0\x80 e\xef\xbf\xbe f\xe2\x82");
  EXPECT_THAT(svg, HasSubstr("<title>a? b? c?? d??? e??? f?\?</title>"));
}

TEST(Figure, shortens_a_title_that_is_wider_than_the_picture) {
  std::string title;
  for (int i = 0; i < 100; ++i) title += "ü";
  std::string shortened = "<title>";
  for (int i = 0; i < 80; ++i) shortened += "ü";
  EXPECT_THAT(evaluation_figure({}, title), HasSubstr(shortened + "\u2026</title>"));
}

TEST(Figure, puts_each_job_into_the_cell_of_its_runtimes) {
  // 64 cells for 1 s to 30 d: cell floor(64 log(t) / log(2592000)); 60 s: 17, 3600 s: 35.
  std::vector<ScoredJob> jobs = {job(3600, 60)};
  const std::string one = panel(evaluation_figure(jobs, ""), "density");
  EXPECT_THAT(found(one, " d=\"([^\"]*)\""), ElementsAre("M17 35H18v1H17z"));

  // Runtimes beyond the axes count in the outermost cells; 60 s and 69 s are neighbours.
  jobs = {job(0.1, 1e9), job(60, 60), job(60, 69)};
  const std::string three = panel(evaluation_figure(jobs, ""), "density");
  EXPECT_THAT(found(three, " d=\"([^\"]*)\""), ElementsAre("M63 0H64v1H63zM17 17H19v1H17z"));
}

TEST(Figure, shades_cells_by_the_logarithm_of_their_jobs) {
  std::vector<ScoredJob> jobs(100, job(60, 60));
  jobs.push_back(job(1, 1));
  jobs.insert(jobs.end(), 10, job(3600, 3600));
  const std::string density = panel(evaluation_figure(jobs, ""), "density");
  EXPECT_THAT(found(density, " d=\"([^\"]*)\""),
              ElementsAre("M0 0H1v1H0z", "M35 35H36v1H35z", "M17 17H18v1H17z"));
  // The lightest, the middle and the darkest of the legend's eight.
  const auto legend = found(density, "<rect [^>]*fill=\"(#[0-9a-f]+)\" shape");
  ASSERT_EQ(legend.size(), 8);
  EXPECT_THAT(found(density, "<path fill=\"([^\"]*)\""),
              ElementsAre(legend[0], legend[4], legend[7]));
  EXPECT_THAT(density, HasSubstr(">100</text>"));
}

TEST(Figure, draws_the_coverage_of_each_twentieth) {
  std::vector<ScoredJob> jobs(200, job(60, 60));
  for (size_t index = 100; index < 105; ++index) jobs[index].covered_p90 = false;
  const std::string coverage = panel(evaluation_figure(jobs, ""), "coverage");
  const auto lines = found(coverage, "points=\"([^\"]*)\"");
  ASSERT_EQ(lines.size(), 3);
  const auto heights = found(lines[0], ",([0-9.]+) ");
  ASSERT_EQ(heights.size(), 20);
  // Half of the eleventh twentieth: the axis reaches down to 40 %.
  EXPECT_THAT(coverage, HasSubstr(">40 %<"));
  EXPECT_THAT(coverage, Not(HasSubstr(">25 %</text>\n<text")));
  for (size_t part = 0; part < 20; ++part) {
    EXPECT_EQ(heights[part], part == 10 ? "229.7" : "108.0") << part;
  }
  EXPECT_EQ(found(lines[2], ",(108.0) ").size(), 20);
}

TEST(Figure, draws_accuracy_and_confidence_of_each_tenth) {
  std::vector<ScoredJob> jobs;
  for (int decile = 9; decile >= 0; --decile) {
    for (int i = 0; i < 3; ++i) {
      jobs.push_back(job(60, 60));
      jobs.back().confidence = 0.1 * decile + 0.05;
      jobs.back().accuracy = 0.1 * decile;
    }
  }
  const std::string confidence = panel(evaluation_figure(jobs, ""), "confidence");
  // 146 px for 1.
  EXPECT_THAT(found(confidence, "height=\"([0-9.]+)\" fill=\"#56b4e9\""),
              ElementsAre("0.0", "14.6", "29.2", "43.8", "58.4", "73.0", "87.6", "102.2", "116.8",
                          "131.4", "11.0"));  // the last is the legend's
  EXPECT_THAT(found(confidence, "cy=\"([0-9.]+)\"").front(), "484.7");
}

TEST(Figure, gives_jobs_of_equal_confidence_no_order_by_accuracy) {
  std::vector<ScoredJob> jobs(20, job(60, 60));
  for (size_t index = 0; index < jobs.size(); index += 2) jobs[index].accuracy = 0;
  const std::string confidence = panel(evaluation_figure(jobs, ""), "confidence");
  const auto heights = found(confidence, "height=\"([0-9.]+)\" fill=\"#56b4e9\"");
  ASSERT_EQ(heights.size(), 11);
  for (size_t decile = 0; decile < 10; ++decile) EXPECT_EQ(heights[decile], "73.0");
}

TEST(Figure, draws_a_single_job) {
  const std::vector<ScoredJob> jobs = {job(3600, 60)};
  const std::string svg = evaluation_figure(jobs, "one");
  expect_well_formed(svg);
  EXPECT_THAT(svg, HasSubstr(">1 job \u00b7 mean accuracy 0.02, of the users' limits 0.01<"));
  EXPECT_EQ(found(panel(svg, "coverage"), "<(circle) ").size(), 3);
}

TEST(Figure, leaves_out_what_is_no_number) {
  const double infinity = std::numeric_limits<double>::infinity();
  std::vector<ScoredJob> jobs = {job(kNan, 60),   job(60, kNan), job(infinity, 60),
                                 job(0, 60),      job(-5, 60),   job(60, infinity),
                                 job(kNan, kNan), job(3600, 60)};
  jobs[0].confidence = kNan;
  jobs[3].limit_s = kNan;
  const std::string svg = evaluation_figure(jobs, "");
  expect_well_formed(svg);
  EXPECT_THAT(found(panel(svg, "density"), " d=\"([^\"]*)\""), ElementsAre("M17 35H18v1H17z"));
}

TEST(Figure, stays_small_where_no_two_neighbours_share_a_shade) {
  const auto seconds = [](size_t cell) {
    return std::exp((static_cast<double>(cell) + 0.5) / 64 * std::log(2592000.0));
  };
  std::vector<ScoredJob> jobs;
  for (size_t row = 0; row < 64; ++row) {
    for (size_t column = 0; column < 64; ++column) {
      jobs.insert(jobs.end(), (row + column) % 2 == 0 ? 1 : 9, job(seconds(row), seconds(column)));
    }
  }
  const std::string svg = evaluation_figure(jobs, "checkered");
  expect_well_formed(svg);
  EXPECT_LT(svg.size(), 200 * 1000);
  EXPECT_EQ(std::ranges::count(panel(svg, "density"), 'M'), 64 * 64);
}

}  // namespace
}  // namespace auspex
