// SPDX-License-Identifier: Apache-2.0
// A text from a file, fit for one line of an error: cut, and without control characters.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace auspex {

inline std::string printable(std::string_view text) {
  constexpr size_t kMaxShown = 80;
  std::string shown(text.substr(0, kMaxShown));
  for (char& c : shown) {
    if (static_cast<unsigned char>(c) < ' ' || c == 127) c = '?';
  }
  return text.size() > kMaxShown ? shown + "..." : shown;
}

}  // namespace auspex
