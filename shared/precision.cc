// SPDX-License-Identifier: Apache-2.0
#include "shared/precision.h"

#include <algorithm>
#include <optional>

namespace auspex {
namespace {

std::optional<Precision> named(std::string_view name) {
  const auto* found = std::find(kPrecisionNames.begin(), kPrecisionNames.end(), name);
  if (found == kPrecisionNames.end()) return std::nullopt;
  return static_cast<Precision>(found - kPrecisionNames.begin());
}

}  // namespace

std::vector<Precision> precisions_of(Precision precision, size_t layers) {
  std::vector<Precision> precisions(layers, precision);
  if (layers == 0 || !needs_relu_before(precision)) return precisions;
  precisions.front() = Precision::kInt8;
  precisions.back() = Precision::kBf16;
  return precisions;
}

Result<std::vector<Precision>> precisions_named(std::string_view text, size_t layers) {
  std::vector<Precision> precisions;
  for (std::string_view rest = text;;) {
    const size_t comma = rest.find(',');
    const std::string_view name = rest.substr(0, comma);
    const auto precision = named(name);
    if (!precision) {
      std::string message = "precision \"" + std::string(name) + "\"; allowed are:";
      for (const std::string_view known : kPrecisionNames) message += " " + std::string(known);
      return Error{message};
    }
    precisions.push_back(*precision);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  if (precisions.size() == 1) return precisions_of(precisions[0], layers);
  if (precisions.size() != layers) {
    return Error{"precision \"" + std::string(text) + "\" is of " +
                 std::to_string(precisions.size()) + " layers, the model has " +
                 std::to_string(layers)};
  }
  return precisions;
}

std::string precisions_text(std::span<const Precision> precisions) {
  for (size_t i = 0; i < kPrecisionNames.size(); ++i) {
    const auto precision = static_cast<Precision>(i);
    if (std::ranges::equal(precisions, precisions_of(precision, precisions.size()))) {
      return std::string(precision_name(precision));
    }
  }
  std::string text;
  for (const Precision precision : precisions) {
    text += (text.empty() ? "" : ",") + std::string(precision_name(precision));
  }
  return text;
}

}  // namespace auspex
