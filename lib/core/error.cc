// SPDX-License-Identifier: Apache-2.0
#include "lib/core/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "lib/core/utf8.h"

namespace ra {
namespace {

std::string one_line(const ErrorText& t) {
  const auto part = [](const std::string& s) { return s.empty() ? std::string("-") : escaped(s); };
  std::string line =
      fmt::format("{}: {}: {}: {}", part(t.what), part(t.file), part(t.where), part(t.why));
  if (!t.hint.empty()) line += fmt::format(" ({})", escaped(t.hint));
  return line;
}

// A UTF-8 sequence that a terminal may obey: C0, DEL, C1, line and paragraph separators, and what
// turns the direction of writing (U+200E/F, U+202A to E, U+2066 to 9).
bool is_control(std::string_view c) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(c[i]); };
  if (c.size() == 1) return byte(0) < 0x20 || byte(0) == 0x7f;
  if (c.size() == 2) return byte(0) == 0xc2 && byte(1) < 0xa0;
  if (c.size() != 3 || byte(0) != 0xe2) return false;
  return (byte(1) == 0x80 && (byte(2) == 0x8e || byte(2) == 0x8f)) ||
         (byte(1) == 0x80 && byte(2) >= 0xa8 && byte(2) <= 0xae) ||
         (byte(1) == 0x81 && byte(2) >= 0xa6 && byte(2) <= 0xa9);
}

}  // namespace

Error::Error(Exit code, ErrorText text)
    : code_(code), text_(std::move(text)), line_(one_line(text_)) {}

void fail(Exit code, ErrorText text) { throw Error(code, std::move(text)); }

void fail_bad_data(ErrorText text) { fail(Exit::kBadData, std::move(text)); }

void fail_usage(std::string where, std::string why, std::string hint) {
  fail(
      Exit::kUsage,
      {.what = "usage", .where = std::move(where), .why = std::move(why), .hint = std::move(hint)});
}

std::string escaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t len = utf8_sequence_length(text.substr(i));
    const std::string_view c = text.substr(i, std::max<std::size_t>(len, 1));
    if (len == 0 || is_control(c))
      for (const char byte : c) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    else
      out += c;
    i += c.size();
  }
  return out;
}

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "internal error: %s:%d: RA_CHECK(%s)\n", file, line, expression);
  std::abort();
}

}  // namespace ra
