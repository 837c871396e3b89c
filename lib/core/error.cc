// SPDX-License-Identifier: Apache-2.0
#include "lib/core/error.h"

#include <fmt/format.h>

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
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t len = utf8_sequence_length(text.substr(i));
    if (len == 0 || byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
      ++i;
    } else {
      out.append(text.substr(i, len));
      i += len;
    }
  }
  return out;
}

void check_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "internal error: %s:%d: RA_CHECK(%s)\n", file, line, expression);
  std::abort();
}

}  // namespace ra
