// SPDX-License-Identifier: Apache-2.0
#include "learn/drawing.h"

#include <array>
#include <charconv>
#include <cstdint>

namespace auspex::svg {
namespace {

// How many bytes the UTF-8 character at the front has; 0: there is none that XML may hold.
size_t character_bytes(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return lead >= ' ' && lead != 0x7f ? 1 : 0;
  const size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return 0;
  uint32_t code = lead & (0x7fU >> bytes);
  for (size_t at = 1; at < bytes; ++at) {
    if ((byte(at) & 0xc0) != 0x80) return 0;
    code = code << 6 | (byte(at) & 0x3fU);
  }
  constexpr std::array<uint32_t, 5> kLeastOfBytes = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  const bool none = (code & 0xfffe) == 0xfffe || code > 0x10ffff;
  return code < kLeastOfBytes[bytes] || surrogate || none ? 0 : bytes;
}

}  // namespace

std::string text_of(double value, int digits) {
  std::array<char, 400> text;  // the longest double has 309 digits before the point
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value,
                                 std::chars_format::fixed, digits);
  return {text.data(), end.ptr};
}

std::string escaped(std::string_view text, size_t max_characters) {
  std::string out;
  for (size_t count = 0; !text.empty(); ++count) {
    if (count == max_characters) return out + "\u2026";
    const size_t bytes = character_bytes(text);
    const std::string_view character = text.substr(0, std::max<size_t>(bytes, 1));
    if (bytes == 0) {
      out += '?';
    } else if (character == "&" || character == "<" || character == ">") {
      out += "&#" + std::to_string(character[0]) + ";";
    } else {
      out += character;
    }
    text.remove_prefix(character.size());
  }
  return out;
}

}  // namespace auspex::svg
