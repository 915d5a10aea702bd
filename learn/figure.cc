// SPDX-License-Identifier: Apache-2.0
#include "learn/figure.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "learn/drawing.h"

namespace auspex {
namespace {

using namespace svg;

constexpr const char* kNoJobs = "no jobs";

// 1234567 -> 1 234 567, with spaces that do not break.
std::string grouped(uint64_t count) {
  std::string text = std::to_string(count);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<size_t>(at), "\u00a0");
  }
  return text;
}

// ---- Predicted against actual runtime

constexpr size_t kCells = 64, kCellPx = 6;
constexpr double kLastTick = 2592000;

constexpr std::pair<double, const char*> kTimeTicks[] = {
    {1, "1 s"},     {60, "1 min"},  {600, "10 min"}, {3600, "1 h"},
    {21600, "6 h"}, {86400, "1 d"}, {604800, "7 d"}, {kLastTick, "30 d"}};

double log_share(double seconds) {
  return std::log(seconds) / std::log(kLastTick);
}

// Runtimes beyond the axis count in its first or last cell.
size_t cell_of(double seconds) {
  return static_cast<size_t>(
      std::clamp(std::floor(log_share(seconds) * kCells), 0.0, kCells - 1.0));
}

bool is_time(double seconds) {
  return std::isfinite(seconds) && seconds > 0;
}
bool is_share(double share) {
  return share >= 0 && share <= 1;
}

// Light to dark in one hue: reads in grey and with any colour vision. ColorBrewer's "Blues"
// (Harrower and Brewer, 2003) without its lightest, which white swallows.
constexpr const char* kShades[] = {"#d3e3f3", "#b5d4e9", "#93c3df", "#6daed5",
                                   "#4b97c9", "#2f7ebc", "#1864aa", "#08306b"};
constexpr const char* kDiagonal = "#d55e00";  // seen on white and on the darkest shade
constexpr size_t kShadeCount = std::size(kShades);

size_t shade_of(uint64_t count, uint64_t most) {
  if (most <= 1) return kShadeCount - 1;
  const double share = std::log(static_cast<double>(count)) / std::log(static_cast<double>(most));
  return std::min(static_cast<size_t>(share * kShadeCount), kShadeCount - 1);
}

void draw_cells(const std::vector<uint64_t>& counts, uint64_t most, const Plot& plot,
                Drawing& out) {
  // Whole pixels without smoothing: no white seams between neighbours.
  const std::string px = std::to_string(kCellPx);
  out.svg += "<g transform=\"translate(" + text_of(plot.left) + " " + text_of(plot.bottom()) +
             ") scale(" + px + " -" + px + ")\" shape-rendering=\"crispEdges\">\n";
  for (size_t shade = 0; shade < kShadeCount; ++shade) {
    std::string path;
    for (size_t row = 0; row < kCells; ++row) {
      const auto is_shade = [&](size_t column) {
        const uint64_t count = counts[row * kCells + column];
        return count > 0 && shade_of(count, most) == shade;
      };
      for (size_t column = 0; column < kCells; ++column) {
        const size_t begin = column;
        while (column < kCells && is_shade(column)) ++column;
        if (column == begin) continue;
        const std::string left = std::to_string(begin);
        path.append("M" + left).append(" " + std::to_string(row));
        path.append("H" + std::to_string(column)).append("v1H" + left).append("z");
      }
    }
    if (!path.empty()) out.svg += "<path " + fill(kShades[shade]) + "d=\"" + path + "\"/>\n";
  }
  out.svg += "</g>\n";
}

void draw_density_legend(uint64_t most, const Plot& plot, Drawing& out) {
  const double y = plot.top - 12;
  out.line({plot.left, y - 4}, {plot.left + 24, y - 4}, kDiagonal, kDashed);
  out.text({plot.left + 30, y}, "predicted = actual");
  if (most == 0) return;
  // A digit is about 7.7 px wide in the widest of the usual fonts.
  constexpr double kShadePx = 9, kDigitPx = 7.7;
  const double right =
      plot.at(1, 0).x - kDigitPx * static_cast<double>(std::to_string(most).size());
  const double left = right - kShadePx * kShadeCount - 10;
  out.text({left - 6, y}, "jobs per cell: 1", kEnd);
  for (size_t shade = 0; shade < kShadeCount; ++shade) {
    out.rectangle({left + kShadePx * static_cast<double>(shade), y - 10}, {kShadePx, 11},
                  fill(kShades[shade]) + "shape-rendering=\"crispEdges\"");
  }
  out.text({plot.at(1, 0).x, y}, grouped(most), kEnd);
}

void draw_density(std::span<const ScoredJob> jobs, Drawing& out) {
  const Plot plot{74, 108, kCells * kCellPx, kCells * kCellPx};
  std::vector<uint64_t> counts(kCells * kCells);
  for (const ScoredJob& job : jobs) {
    if (!is_time(job.predicted_s) || !is_time(job.actual_s)) continue;
    ++counts[cell_of(job.predicted_s) * kCells + cell_of(job.actual_s)];
  }
  const uint64_t most = *std::ranges::max_element(counts);
  out.svg += "<g id=\"density\">\n";
  for (const auto& [seconds, label] : kTimeTicks) {
    plot.x_tick(log_share(seconds), label, out);
    plot.y_tick(log_share(seconds), label, out);
  }
  draw_cells(counts, most, plot, out);
  out.line(plot.at(0, 0), plot.at(1, 1), kDiagonal, kDashed);
  plot.frame(most == 0 ? kNoJobs : "", out);
  plot.titles("Predicted and actual runtime", "actual runtime", "predicted runtime", out);
  draw_density_legend(most, plot, out);
  out.svg += "</g>\n";
}

// ---- Coverage over time

constexpr size_t kParts = 20;

struct Level {
  const char* name;
  double target;
  bool ScoredJob::*covered;
  const char* colour;  // of Okabe and Ito's palette (2008), made for all colour vision
};
constexpr Level kLevels[] = {{"p90", 0.90, &ScoredJob::covered_p90, "#0072b2"},
                             {"p95", 0.95, &ScoredJob::covered_p95, "#d55e00"},
                             {"p99", 0.99, &ScoredJob::covered_p99, "#009e73"}};

// One share of covered jobs for each part that has jobs, x being the part's middle.
std::vector<Point> coverage_over_time(std::span<const ScoredJob> jobs, bool ScoredJob::*covered) {
  std::vector<Point> shares;
  for (size_t part = 0; part < kParts; ++part) {
    const size_t begin = part * jobs.size() / kParts, end = (part + 1) * jobs.size() / kParts;
    if (begin == end) continue;
    const auto hit = std::ranges::count_if(jobs.subspan(begin, end - begin), covered);
    shares.push_back({(static_cast<double>(part) + 0.5) / kParts,
                      static_cast<double>(hit) / static_cast<double>(end - begin)});
  }
  return shares;
}

void draw_coverage(std::span<const ScoredJob> jobs, Drawing& out) {
  const Plot plot{556, 108, 340, 146};
  std::array<std::vector<Point>, std::size(kLevels)> series;
  int lowest = 85;  // per cent
  for (size_t level = 0; level < series.size(); ++level) {
    series[level] = coverage_over_time(jobs, kLevels[level].covered);
    for (const Point& point : series[level]) {
      lowest = std::min(lowest, static_cast<int>(std::floor(100 * point.y)));
    }
  }
  const int step = lowest >= 80 ? 5 : lowest >= 60 ? 10 : lowest >= 40 ? 15 : 25;
  const int steps = (100 - lowest + step - 1) / step;
  const auto height_of = [&](double share) { return 1 - (1 - share) * 100 / (step * steps); };

  out.svg += "<g id=\"coverage\">\n";
  for (int tick = 0; tick <= steps; ++tick) {
    const int percent = 100 - step * tick;
    plot.y_tick(height_of(percent / 100.0), std::to_string(percent) + " %", out);
  }
  for (const int percent : {0, 25, 50, 75, 100}) {
    plot.x_tick(percent / 100.0, std::to_string(percent) + " %", out);
  }
  plot.frame(jobs.empty() ? kNoJobs : "", out);
  Point key = {plot.left, plot.top - 16};
  for (size_t index = 0; index < series.size(); ++index) {
    const auto& [name, target, covered, colour] = kLevels[index];
    out.line(plot.at(0, height_of(target)), plot.at(1, height_of(target)), colour, kDashed);
    std::string points;
    for (const Point& point : series[index]) {
      const Point at = plot.at(point.x, height_of(point.y));
      points += text_of(at.x, 1) + "," + text_of(at.y, 1) + " ";
      out.dot(at, 2.2, fill(colour));
    }
    out.svg += "<polyline fill=\"none\" " + std::string(kSolid) + " stroke=\"" + colour +
               "\" points=\"" + points + "\"/>\n";
    out.line(key, {key.x + 20, key.y}, colour, kSolid);
    out.text({key.x + 26, key.y + 4}, name);
    key.x += 68;
  }
  out.line(key, {key.x + 24, key.y}, kInk, kDashed);
  out.text({key.x + 30, key.y + 4}, "target");
  plot.titles("Coverage over time", "scored jobs, in order of time", "jobs covered", out);
  out.svg += "</g>\n";
}

// ---- Accuracy by confidence

constexpr size_t kDeciles = 10;
constexpr const char* kBar = "#56b4e9";
constexpr const char* kDot = "#d55e00";

void draw_confidence(std::span<const ScoredJob> jobs, Drawing& out) {
  const Plot plot{556, 346, 340, 146};
  std::vector<ScoredJob> sorted(jobs.begin(), jobs.end());
  std::erase_if(sorted, [](const ScoredJob& job) {
    return !is_share(job.confidence) || !is_share(job.accuracy);
  });
  // Stable: among equal confidences a tenth gets whatever jobs come first, not the worst.
  std::ranges::stable_sort(sorted, {}, &ScoredJob::confidence);

  out.svg += "<g id=\"confidence\">\n";
  for (const int percent : {0, 25, 50, 75, 100}) {
    plot.y_tick(percent / 100.0, text_of(percent / 100.0, 2), out);
  }
  const double slot = 1.0 / kDeciles;
  for (size_t decile = 0; decile < kDeciles; ++decile) {
    const size_t begin = decile * sorted.size() / kDeciles;
    const size_t end = (decile + 1) * sorted.size() / kDeciles;
    const double middle = (static_cast<double>(decile) + 0.5) * slot;
    out.text({plot.at(middle, 0).x, plot.bottom() + 17}, std::to_string(decile + 1), kMiddle);
    if (begin == end) continue;
    double confidence = 0, accuracy = 0;
    for (size_t index = begin; index < end; ++index) {
      confidence += sorted[index].confidence / static_cast<double>(end - begin);
      accuracy += sorted[index].accuracy / static_cast<double>(end - begin);
    }
    out.rectangle(plot.at(middle - 0.38 * slot, accuracy),
                  {0.76 * slot * plot.width, accuracy * plot.height}, fill(kBar));
    out.dot(plot.at(middle, confidence), 4, fill(kDot) + "stroke=\"white\" stroke-width=\"1.2\"");
  }
  plot.frame(sorted.empty() ? kNoJobs : "", out);
  out.rectangle({plot.left, plot.top - 22}, {14, 11}, fill(kBar));
  out.text({plot.left + 20, plot.top - 12}, "mean accuracy");
  out.dot({plot.left + 142, plot.top - 16}, 4, fill(kDot));
  out.text({plot.left + 152, plot.top - 12}, "mean confidence");
  plot.titles("Accuracy by confidence", "tenths of jobs, least to most confident", "accuracy", out);
  out.svg += "</g>\n";
}

std::string summary(std::span<const ScoredJob> jobs) {
  double model = 0, limit = 0;
  uint64_t count = 0;
  for (const ScoredJob& job : jobs) {
    if (!is_share(job.accuracy) || !is_time(job.limit_s) || !is_time(job.actual_s)) continue;
    model += job.accuracy;
    limit += std::min(job.limit_s, job.actual_s) / std::max(job.limit_s, job.actual_s);
    ++count;
  }
  std::string text = grouped(jobs.size()) + (jobs.size() == 1 ? " job" : " jobs");
  if (count == 0) return text;
  const auto total = static_cast<double>(count);
  return text + " \u00b7 mean accuracy " + text_of(model / total, 2) + ", of the users' limits " +
         text_of(limit / total, 2);
}

}  // namespace

std::string evaluation_figure(std::span<const ScoredJob> jobs, std::string_view title) {
  constexpr size_t kLongestTitle = 80;  // characters, of 15 px and bold, that fit in the width
  const std::string name = escaped(title, kLongestTitle);
  Drawing out;
  out.svg +=
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg viewBox=\"0 0 920 560\" role=\"img\" ";
  out.svg += "width=\"920\" height=\"560\" xmlns=\"http://www.w3.org/2000/svg\" " + fill(kInk);
  out.svg += "font-family=\"sans-serif\" font-size=\"12\"><title>" + name + "</title>\n";
  out.rectangle({0, 0}, {920, 560}, fill("white"));
  out.text({20, 30}, name, "font-size=\"15\" font-weight=\"bold\"");
  out.text({20, 50}, summary(jobs), "fill=\"#555555\"");
  draw_density(jobs, out);
  draw_coverage(jobs, out);
  draw_confidence(jobs, out);
  out.svg += "</svg>\n";
  return out.svg;
}

}  // namespace auspex
