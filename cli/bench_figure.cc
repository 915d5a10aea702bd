// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_figure.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "learn/drawing.h"

namespace auspex::cli {
namespace {

using namespace svg;

constexpr double kPanelWidth = 400, kPanelHeight = 300;
constexpr double kLeft = 92, kTop = 108, kColumn = 520, kRow = 390, kKeyHeight = 20;

// A name of the key, and what is drawn under it.
struct Style {
  std::string colour, dash;
};
struct Series {
  std::string name;
  Style style;
  // hidden -> batch -> us
  std::map<std::string, std::map<uint32_t, double>> median_us, p99_us;
};

std::string name_of(const BenchLabel& label) {
  std::string name = label.technique + " " + label.precision;
  if (label.sparsity == "2:4") name += " 2:4";
  // torch_dense says it already.
  if (label.input == "dense" && label.technique == "auspex") name += " dense";
  return name;
}

// Ours solid, peers dashed; dense inputs dotted. Colours of Okabe and Ito's palette (2008).
Style style_of(const BenchLabel& label, size_t peer) {
  constexpr const char* kPeers[] = {"#000000", "#8c510a", "#5e3c99", "#878787",
                                    "#b2182b", "#35978f", "#c51b7d", "#4d9221"};
  static const std::map<std::string, const char*> ours = {
      {"fp32", "#d55e00"}, {"bf16", "#e69f00"}, {"int8", "#0072b2"}, {"int4", "#009e73"}};
  const bool dense = label.input == "dense";
  if (label.technique != "auspex") {
    return {kPeers[peer % std::size(kPeers)], dense ? "2 3" : "7 4"};
  }
  const auto found = ours.find(label.precision);
  const char* colour = label.sparsity == "2:4" ? "#56b4e9"
                       : found == ours.end()   ? kInk
                                               : found->second;
  return {colour, dense ? "2 3" : ""};
}

void keep_least(std::map<uint32_t, double>& of_batch, uint32_t batch, double time_us) {
  double& least = of_batch.try_emplace(batch, std::numeric_limits<double>::max()).first->second;
  least = std::min(least, time_us);
}

std::vector<Series> series_of(std::span<const BenchRow> rows) {
  std::vector<Series> all;
  size_t peers = 0;
  for (const BenchRow& row : rows) {
    if (row.cold || row.label.backend == "reference") continue;
    const std::string name = name_of(row.label);
    auto found = std::ranges::find(all, name, &Series::name);
    if (found == all.end()) {
      const bool ours = row.label.technique == "auspex";
      all.push_back({name, style_of(row.label, ours ? 0 : peers++), {}, {}});
      found = all.end() - 1;
    }
    keep_least(found->median_us[row.hidden], row.batch, row.median_us);
    keep_least(found->p99_us[row.hidden], row.batch, row.p99_us);
  }
  return all;
}

std::string time_text(double time_us) {
  if (time_us < 1000) return text_of(time_us, time_us < 1 ? 1 : 0) + " \u00b5s";
  if (time_us < 1e6) return text_of(time_us / 1000) + " ms";
  return text_of(time_us / 1e6) + " s";
}

std::string stroke(const Style& style) {
  const std::string dash = style.dash.empty() ? "" : "stroke-dasharray=\"" + style.dash + "\" ";
  return std::string(kSolid) + " " + dash;
}

// Powers of ten around all that is drawn, so that all panels have one scale.
struct Scale {
  int low = 0, high = 1;
  uint32_t last_batch = 2;

  double x(uint32_t batch) const {
    return 0.02 + 0.96 * std::log2(double{1} * batch) / std::log2(double{1} * last_batch);
  }
  double y(double time_us) const { return (std::log10(time_us) - low) / (high - low); }
};

Scale scale_of(const std::vector<Series>& all) {
  double least = std::numeric_limits<double>::max(), most = 0;
  Scale scale;
  for (const Series& series : all) {
    for (const auto* kind : {&series.median_us, &series.p99_us}) {
      for (const auto& [hidden, of_batch] : *kind) {
        for (const auto& [batch, time_us] : of_batch) {
          least = std::min(least, time_us);
          most = std::max(most, time_us);
          scale.last_batch = std::max(scale.last_batch, batch);
        }
      }
    }
  }
  if (most <= 0) return scale;
  scale.low = static_cast<int>(std::floor(std::log10(std::max(least, 1e-3))));
  scale.high = std::max(scale.low + 1, static_cast<int>(std::ceil(std::log10(most))));
  return scale;
}

void draw_lines(const std::map<uint32_t, double>& of_batch, const Style& style, const Scale& scale,
                const Plot& plot, Drawing& out) {
  std::string points;
  for (const auto& [batch, time_us] : of_batch) {
    const Point at = plot.at(scale.x(batch), scale.y(std::max(time_us, 1e-3)));
    points += text_of(at.x, 1) + "," + text_of(at.y, 1) + " ";
    out.dot(at, 2.2, fill(style.colour.c_str()));
  }
  out.svg += "<polyline fill=\"none\" " + stroke(style) + "stroke=\"" + style.colour +
             "\" points=\"" + points + "\"/>\n";
}

void draw_panel(const std::vector<Series>& all, const std::string& hidden, bool p99,
                const Scale& scale, const Plot& plot, Drawing& out) {
  for (int power = scale.low; power <= scale.high; ++power) {
    plot.y_tick(scale.y(std::pow(10, power)), time_text(std::pow(10, power)), out);
  }
  for (uint32_t batch = 1; batch <= scale.last_batch; batch *= 4) {
    plot.x_tick(scale.x(batch), std::to_string(batch), out);
  }
  plot.frame("", out);
  for (const Series& series : all) {
    const auto& kind = p99 ? series.p99_us : series.median_us;
    const auto found = kind.find(hidden);
    if (found != kind.end()) draw_lines(found->second, series.style, scale, plot, out);
  }
  plot.titles(hidden + (p99 ? ", p99" : ", median"), "batch", "time of a call", out);
}

void draw_key(const std::vector<Series>& all, Point at, Drawing& out) {
  for (const Series& series : all) {
    out.line(at, {at.x + 34, at.y}, series.style.colour, stroke(series.style));
    out.dot({at.x + 17, at.y}, 2.2, fill(series.style.colour.c_str()));
    out.text({at.x + 42, at.y + 4}, escaped(series.name, 40));
    at.y += kKeyHeight;
  }
}

}  // namespace

std::string bench_figure(std::span<const BenchRow> rows) {
  constexpr double kKeyWidth = 230;
  const std::vector<Series> all = series_of(rows);
  const Scale scale = scale_of(all);
  std::vector<std::string> networks;
  for (const BenchRow& row : rows) {
    if (std::ranges::find(networks, row.hidden) == networks.end()) networks.push_back(row.hidden);
  }
  const double key_left = kLeft + kColumn * static_cast<double>(networks.size()) - 80;
  const double width = key_left + kKeyWidth;
  const double height =
      std::max(kTop + 2 * kRow - 30, kTop + 30 + kKeyHeight * static_cast<double>(all.size()));
  Drawing out;
  out.svg = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg viewBox=\"0 0 " + text_of(width) +
            " " + text_of(height) + "\" role=\"img\" width=\"" + text_of(width) + "\" height=\"" +
            text_of(height) + "\" xmlns=\"http://www.w3.org/2000/svg\" " + fill(kInk) +
            "font-family=\"sans-serif\" font-size=\"12\"><title>auspex bench</title>\n";
  out.rectangle({0, 0}, {width, height}, fill("white"));
  out.text({20, 30}, "Time of a call over its batch", "font-size=\"15\" font-weight=\"bold\"");
  out.text({20, 50}, "one thread, warm caches; of each precision the fastest instruction set",
           "fill=\"#555555\"");
  for (size_t column = 0; column < networks.size(); ++column) {
    for (const bool p99 : {false, true}) {
      const Plot plot{kLeft + kColumn * static_cast<double>(column), kTop + (p99 ? kRow : 0),
                      kPanelWidth, kPanelHeight};
      draw_panel(all, networks[column], p99, scale, plot, out);
    }
  }
  draw_key(all, {key_left, kTop + 6}, out);
  out.svg += "</svg>\n";
  return out.svg;
}

}  // namespace auspex::cli
