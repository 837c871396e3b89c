// SPDX-License-Identifier: Apache-2.0
#include "lib/gguf/split.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "lib/core/error.h"

namespace ra::gguf {
namespace {

constexpr int kMaxParts = 99999;

std::optional<int> five_digits(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.size() != 5 || error != std::errc{} || end != text.data() + 5 || value < 1)
    return std::nullopt;
  return value;
}

std::optional<std::int64_t> split_integer(const Metadata& metadata, std::string_view key,
                                          std::int64_t min, std::int64_t max,
                                          const std::string& file) {
  const Value* value = metadata.find(key);
  if (!value) return std::nullopt;
  const auto* n = std::get_if<std::int64_t>(value);
  if (n && *n >= min && *n <= max) return *n;
  fail_bad_data({.what = "bad metadata",
                 .file = file,
                 .where = std::string(key),
                 .why = n ? fmt::format("{} is not from {} to {}", *n, min, max)
                          : fmt::format("is {}, not an integer", type_name(*value))});
}

}  // namespace

std::string SplitName::part(int n) const {
  return fmt::format("{}-{:05}-of-{:05}.gguf", stem, n, count);
}

std::optional<SplitName> parse_split_name(const std::string& file_name) {
  constexpr std::string_view kPattern = "-00001-of-00002.gguf";
  if (file_name.size() <= kPattern.size()) return std::nullopt;
  const std::string_view tail =
      std::string_view(file_name).substr(file_name.size() - kPattern.size());
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || tail.substr(15) != ".gguf")
    return std::nullopt;
  const auto number = five_digits(tail.substr(1, 5)), count = five_digits(tail.substr(10, 5));
  if (!number || !count || *number > *count) return std::nullopt;
  return SplitName{file_name.substr(0, file_name.size() - kPattern.size()), *number, *count};
}

SplitKeys read_split_keys(const Metadata& metadata, const std::string& file) {
  SplitKeys keys;
  // Writers leave split.count = 0 in files that were merged again.
  keys.count = split_integer(metadata, "split.count", 0, kMaxParts, file).value_or(1);
  if (keys.count <= 1) return SplitKeys{};
  const auto number = split_integer(metadata, "split.no", 0, keys.count - 1, file);
  if (!number)
    fail_bad_data({.what = "bad metadata",
                   .file = file,
                   .where = "split.no",
                   .why = fmt::format("missing, though split.count is {}", keys.count)});
  keys.number = *number;
  keys.tensors = split_integer(metadata, "split.tensors.count", 0, INT64_MAX, file);
  return keys;
}

}  // namespace ra::gguf
