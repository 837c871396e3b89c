// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "lib/core/error.h"
#include "lib/model/load.h"

namespace ra::model {
namespace {

[[noreturn]] void bad_key(const gguf::File& file, std::string key, std::string why) {
  fail_bad_data({.what = "bad vocabulary",
                 .file = file.path().string(),
                 .where = std::move(key),
                 .why = std::move(why)});
}

std::vector<tokenizer::TokenType> token_types(const gguf::File& file, std::size_t n_tokens) {
  const std::string key = "tokenizer.ggml.token_type";
  std::vector<tokenizer::TokenType> types;
  const auto* values = file.array<std::int64_t>(key);
  if (values == nullptr) return types;
  if (values->size() != n_tokens)
    bad_key(file, key, fmt::format("{} entries for {} tokens", values->size(), n_tokens));
  types.reserve(n_tokens);
  for (std::size_t i = 0; i < n_tokens; ++i) {
    const std::int64_t t = (*values)[i];
    if (t < 1 || t > 6) bad_key(file, key, fmt::format("token {} has type {}, not 1..6", i, t));
    types.push_back(static_cast<tokenizer::TokenType>(t));
  }
  return types;
}

std::vector<float> scores(const gguf::File& file, std::size_t n_tokens) {
  const std::string key = "tokenizer.ggml.scores";
  const auto* values = file.array<double>(key);
  if (values == nullptr) return {};
  if (values->size() != n_tokens)
    bad_key(file, key, fmt::format("{} entries for {} tokens", values->size(), n_tokens));
  std::vector<float> out;
  for (std::size_t i = 0; i < n_tokens; ++i) {
    if (std::isnan((*values)[i])) bad_key(file, key, fmt::format("entry {} is NaN", i));
    out.push_back(static_cast<float>((*values)[i]));
  }
  return out;
}

std::int32_t special_id(const gguf::File& file, const std::string& key, std::size_t n_tokens) {
  const auto id = file.integer(key);
  if (!id) return -1;
  if (*id < 0 || static_cast<std::uint64_t>(*id) >= n_tokens)
    bad_key(file, key, fmt::format("id {} is outside the {} tokens", *id, n_tokens));
  return static_cast<std::int32_t>(*id);
}

}  // namespace

tokenizer::Vocab load_vocab(const gguf::File& file) {
  tokenizer::Vocab v;
  v.model = file.require_string("tokenizer.ggml.model");
  v.pre = file.string("tokenizer.ggml.pre").value_or("");
  const std::string tokens_key = "tokenizer.ggml.tokens";
  const auto* tokens = file.array<std::string>(tokens_key);
  if (tokens == nullptr || tokens->empty()) bad_key(file, tokens_key, "missing or empty");
  const std::size_t n = tokens->size();
  if (n > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
    bad_key(file, tokens_key, fmt::format("{} tokens", n));
  v.tokens = *tokens;
  v.types = token_types(file, n);
  v.scores = scores(file, n);
  if (const auto* merges = file.array<std::string>("tokenizer.ggml.merges")) v.merges = *merges;
  v.bos = special_id(file, "tokenizer.ggml.bos_token_id", n);
  v.eos = special_id(file, "tokenizer.ggml.eos_token_id", n);
  v.unknown = special_id(file, "tokenizer.ggml.unknown_token_id", n);
  // Llama 3 files often leave the key out; its tokenizer always starts a text with BOS. So do those
  // of SentencePiece, and with a space.
  const bool spm = v.model == "llama";
  v.add_bos = file.boolean("tokenizer.ggml.add_bos_token").value_or(v.pre == "llama-bpe" || spm);
  v.add_space_prefix = file.boolean("tokenizer.ggml.add_space_prefix").value_or(spm);
  if (v.add_bos && v.bos < 0)
    bad_key(file, "tokenizer.ggml.bos_token_id", "missing, but a BOS is to be added");
  return v;
}

}  // namespace ra::model
