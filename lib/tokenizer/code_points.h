// SPDX-License-Identifier: Apache-2.0
// UTF-8 one code point at a time.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "lib/core/utf8.h"

namespace ra::tokenizer {

struct CodePoint {
  char32_t value;
  std::size_t bytes;
};

// The code point at text[i], i < text.size(). `text` is valid UTF-8 and i is at a boundary.
inline CodePoint code_point_at(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t k) -> char32_t {
    return static_cast<unsigned char>(text[i + k]);
  };
  const char32_t a = byte(0);
  if (a < 0x80) return {a, 1};
  if (a < 0xe0) return {(a & 0x1f) << 6 | (byte(1) & 0x3f), 2};
  if (a < 0xf0) return {(a & 0x0f) << 12 | (byte(1) & 0x3f) << 6 | (byte(2) & 0x3f), 3};
  return {(a & 0x07) << 18 | (byte(1) & 0x3f) << 12 | (byte(2) & 0x3f) << 6 | (byte(3) & 0x3f), 4};
}

// The same for any bytes; `bytes` is 0 if text[i] starts no valid sequence.
inline CodePoint checked_code_point(std::string_view text, std::size_t i) {
  if (utf8_sequence_length(text.substr(i)) == 0) return {0, 0};
  return code_point_at(text, i);
}

inline void append_utf8(char32_t c, std::string& out) {
  const auto tail = [&](int shift) {
    out.push_back(static_cast<char>(0x80 | (c >> shift & 0x3f)));
  };
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xc0 | c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | c >> 12));
    tail(6), tail(0);
  } else {
    out.push_back(static_cast<char>(0xf0 | c >> 18));
    tail(12), tail(6), tail(0);
  }
}

}  // namespace ra::tokenizer
