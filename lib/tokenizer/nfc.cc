// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

#include "lib/core/error.h"
#include "lib/tokenizer/code_points.h"
#include "lib/tokenizer/unicode_tables.h"

namespace ra::tokenizer {
namespace {

constexpr char32_t kFirstChanging = 0x300;  // NFC leaves any text below it as it is

bool is_normalized(char32_t c) {
  const auto ranges = unicode_normalized();
  const auto it = std::ranges::lower_bound(ranges, c, {}, &CodePointRange::last);
  return it != ranges.end() && it->first <= c;
}

int combining_class(utf8proc_int32_t c) { return utf8proc_get_property(c)->combining_class; }

// Canonical ordering. utf8proc_decompose would do this by exchanging neighbours, which is quadratic
// in a long run of marks.
void order_marks(std::vector<utf8proc_int32_t>& points) {
  const auto is_mark = [](utf8proc_int32_t c) { return combining_class(c) != 0; };
  for (auto begin = points.begin(); begin != points.end();) {
    begin = std::find_if(begin, points.end(), is_mark);
    const auto end = std::find_if_not(begin, points.end(), is_mark);
    std::stable_sort(begin, end, [](utf8proc_int32_t a, utf8proc_int32_t b) {
      return combining_class(a) < combining_class(b);
    });
    begin = end;
  }
}

void append_normalized(std::string_view text, std::string& out) {
  constexpr auto kOptions =
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_DECOMPOSE);
  std::vector<utf8proc_int32_t> points;
  points.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = code_point_at(text, i);
    std::array<utf8proc_int32_t, 8> parts;  // a canonical decomposition has at most 4
    const utf8proc_ssize_t n =
        utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c.value), parts.data(), parts.size(),
                                UTF8PROC_DECOMPOSE, nullptr);
    RA_CHECK(n >= 0 && n <= static_cast<utf8proc_ssize_t>(parts.size()));
    points.insert(points.end(), parts.begin(), parts.begin() + n);
    i += c.bytes;
  }
  order_marks(points);
  const utf8proc_ssize_t n = utf8proc_normalize_utf32(
      points.data(), static_cast<utf8proc_ssize_t>(points.size()), kOptions);
  RA_CHECK(n >= 0);
  points.resize(static_cast<std::size_t>(n));
  for (const utf8proc_int32_t c : points) append_utf8(static_cast<char32_t>(c), out);
}

}  // namespace

std::string nfc(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t begin = 0; begin < text.size();) {
    // The longest stretch that the tables know, and whether anything in it may change.
    std::size_t end = begin;
    bool changing = false;
    CodePoint c{0, 0};
    for (; end < text.size(); end += c.bytes) {
      c = code_point_at(text, end);
      if (c.value < kFirstChanging) continue;
      if (!is_normalized(c.value)) break;
      changing = true;
    }
    const std::string_view stretch = text.substr(begin, end - begin);
    if (changing)
      append_normalized(stretch, out);
    else
      out += stretch;
    begin = end;
    // What the tables do not know stays, and nothing combines across it.
    while (begin < text.size()) {
      c = code_point_at(text, begin);
      if (c.value < kFirstChanging || is_normalized(c.value)) break;
      out.append(text.substr(begin, c.bytes));
      begin += c.bytes;
    }
  }
  return out;
}

}  // namespace ra::tokenizer
