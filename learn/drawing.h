// SPDX-License-Identifier: Apache-2.0
// What the figures are drawn with: an SVG file as it grows, and panels with axes.
#pragma once

#include <string>
#include <string_view>

namespace auspex::svg {

inline constexpr const char* kInk = "#222222";
inline constexpr const char* kGrid = "#e6e6e6";

std::string text_of(double value, int digits = 0);

// For XML; "\u2026" where it was longer.
std::string escaped(std::string_view text, size_t max_characters);

struct Point {
  double x = 0, y = 0;
};

// The file as it grows. Coordinates in pixels from the upper left corner; more: further attributes.
struct Drawing {
  std::string svg;

  // markup: already escaped.
  void text(Point at, std::string_view markup, std::string_view more = "") {
    element("text", pair("x", "y", at), more, ">");
    svg.append(markup).append("</text>\n");
  }
  void line(Point from, Point to, std::string_view colour, std::string_view more = "") {
    const std::string stroke = "stroke=\"" + std::string(colour) + "\" ";
    element("line", pair("x1", "y1", from) + pair("x2", "y2", to) + stroke, more);
  }
  void rectangle(Point at, Point size, std::string_view more) {
    element("rect", pair("x", "y", at) + pair("width", "height", size), more);
  }
  void dot(Point at, double radius, std::string_view more) {
    element("circle", pair("cx", "cy", at) + "r=\"" + text_of(radius, 1) + "\" ", more);
  }

  static std::string pair(std::string x, const std::string& y, Point at) {
    return x.append("=\"") + text_of(at.x, 1) + "\" " + y + "=\"" + text_of(at.y, 1) + "\" ";
  }
  void element(std::string_view name, std::string_view place, std::string_view more,
               std::string_view end = "/>\n") {
    svg.append("<").append(name).append(" ").append(place).append(more).append(end);
  }
};

inline std::string fill(const char* colour) {
  return "fill=\"" + std::string(colour) + "\" ";
}
inline constexpr const char* kMiddle = "text-anchor=\"middle\"";
inline constexpr const char* kEnd = "text-anchor=\"end\"";
inline constexpr const char* kDashed = "stroke-dasharray=\"5 3\" stroke-width=\"1.3\"";
inline constexpr const char* kSolid = "stroke-width=\"1.8\"";

// Where a panel's data lie; shares of its width and height become pixels.
struct Plot {
  double left, top, width, height;

  Point at(double x_share, double y_share) const {
    return {left + x_share * width, top + (1 - y_share) * height};
  }
  double bottom() const { return top + height; }
  double centre() const { return left + width / 2; }

  void x_tick(double share, std::string_view label, Drawing& out) const {
    out.line(at(share, 0), at(share, 1), kGrid);
    out.text({at(share, 0).x, bottom() + 17}, label, kMiddle);
  }
  void y_tick(double share, std::string_view label, Drawing& out) const {
    out.line(at(0, share), at(1, share), kGrid);
    out.text({left - 7, at(0, share).y + 4}, label, kEnd);
  }
  // After the ticks, whose lines it covers. empty: what to say where there are no data.
  void frame(std::string_view empty, Drawing& out) const {
    out.rectangle({left, top}, {width, height}, "fill=\"none\" stroke=\"#888888\"");
    if (!empty.empty()) out.text({centre(), top + 0.25 * height}, empty, kMiddle);
  }
  void titles(std::string_view title, std::string_view x, std::string_view y, Drawing& out) const {
    out.text({left, top - 30}, title, "font-weight=\"bold\"");
    out.text({centre(), bottom() + 36}, x, kMiddle);
    const Point middle = {left - 58, top + height / 2};
    const std::string around = text_of(middle.x) + " " + text_of(middle.y);
    out.text(middle, y, std::string(kMiddle) + " transform=\"rotate(-90 " + around + ")\"");
  }
};

}  // namespace auspex::svg
