// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/cursor.h"

#include <fmt/format.h>

#include "lib/core/error.h"

namespace ra::gguf {

std::optional<std::uint64_t> checked_add(std::uint64_t a, std::uint64_t b) {
  std::uint64_t out = 0;
  if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
  return out;
}

std::optional<std::uint64_t> checked_mul(std::uint64_t a, std::uint64_t b) {
  std::uint64_t out = 0;
  if (__builtin_mul_overflow(a, b, &out)) return std::nullopt;
  return out;
}

std::optional<std::uint64_t> align_up(std::uint64_t n, std::uint64_t alignment) {
  const auto sum = checked_add(n, alignment - 1);
  if (!sum) return std::nullopt;
  return *sum & ~(alignment - 1);
}

std::string clipped(std::string_view name) {
  constexpr std::size_t kShown = 100;
  if (name.size() <= kShown) return std::string(name);
  return std::string(name.substr(0, kShown)) + "...";
}

const std::byte* Cursor::take(std::uint64_t n, std::string_view field) {
  value_at_ = offset_;
  if (n > left())
    fail(fmt::format("{} needs {} bytes, {} left", field, n, left()), "truncated download?");
  offset_ += n;
  return at(value_at_);
}

std::string_view Cursor::read_string(std::uint64_t limit, std::string_view field) {
  const auto length = read<std::uint64_t>(field);
  const std::uint64_t start = value_at_;
  if (length > limit) fail(fmt::format("{} of {} bytes, the limit is {}", field, length, limit));
  const auto* text = reinterpret_cast<const char*>(take(length, field));
  value_at_ = start;
  return {text, static_cast<std::size_t>(length)};
}

void Cursor::check_count(std::uint64_t count, std::uint64_t item_bytes, std::uint64_t limit,
                         std::string_view items) const {
  if (count > limit) fail(fmt::format("{} {}, the limit is {}", count, items, limit));
  if (count > left() / item_bytes)
    fail(fmt::format("{} {} of at least {} bytes do not fit the {} bytes left", count, items,
                     item_bytes, left()),
         "truncated download?");
}

void Cursor::fail(std::string why, std::string hint) const {
  fail_bad_data({.what = std::string(what_),
                 .file = file_,
                 .where = name_.empty() ? fmt::format("byte {}", value_at_)
                                        : fmt::format("{} at byte {}", clipped(name_), value_at_),
                 .why = std::move(why),
                 .hint = std::move(hint)});
}

}  // namespace ra::gguf
