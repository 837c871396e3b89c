// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/vocab_check.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <utility>

#include "lib/core/error.h"

namespace ra::tokenizer {

void bad_vocabulary(std::string key, std::string why, std::string hint) {
  fail_bad_data({.what = "bad vocabulary",
                 .file = "",
                 .where = "tokenizer.ggml." + std::move(key),
                 .why = std::move(why),
                 .hint = std::move(hint)});
}

void check_vocabulary(const Vocab& v) {
  if (v.tokens.empty()) bad_vocabulary("tokens", "no tokens");
  const auto n = static_cast<std::int64_t>(v.tokens.size());
  if (n > INT32_MAX || v.merges.size() > INT32_MAX)
    bad_vocabulary(n > INT32_MAX ? "tokens" : "merges", "more than 2^31 - 1 entries");
  if (!v.types.empty() && v.types.size() != v.tokens.size())
    bad_vocabulary("token_type", fmt::format("{} types for {} tokens", v.types.size(), n));
  for (std::size_t i = 0; i < v.types.size(); ++i)
    if (v.types[i] < TokenType::kNormal || v.types[i] > TokenType::kByte)
      bad_vocabulary("token_type",
                     fmt::format("token {} has type {}", i, static_cast<int>(v.types[i])),
                     "types are 1..6");
  const std::pair<std::string, std::int32_t> ids[] = {
      {"bos_token_id", v.bos}, {"eos_token_id", v.eos}, {"unknown_token_id", v.unknown}};
  for (const auto& [key, id] : ids)
    if (id < -1 || id >= n)
      bad_vocabulary(key, fmt::format("id {} is outside the vocabulary of {} tokens", id, n));
  if (v.add_bos && v.bos < 0) bad_vocabulary("add_bos_token", "true, but there is no bos_token_id");
}

void check_id(const Vocab& v, std::int32_t id) {
  if (id < 0 || static_cast<std::size_t>(id) >= v.tokens.size())
    fail_bad_data(
        {.what = "bad token id",
         .file = "",
         .where = "",
         .why = fmt::format("{} is outside the vocabulary of {} tokens", id, v.tokens.size()),
         .hint = ""});
}

std::string byte_token(std::string_view spelling, std::size_t id) {
  unsigned byte = 0;
  if (spelling.size() == 6 && spelling.starts_with("<0x") && spelling.ends_with('>')) {
    const char* const end = spelling.data() + 5;
    if (std::from_chars(spelling.data() + 3, end, byte, 16).ptr == end)
      return std::string(1, static_cast<char>(byte));
  }
  bad_vocabulary("tokens", fmt::format("byte token {} is '{}'", id, spelling),
                 "byte tokens are <0x00> to <0xFF>");
}

}  // namespace ra::tokenizer
