// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/spm_tokenizer.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/core/error.h"

namespace ra::tokenizer {
namespace {

using Ids = std::vector<std::int32_t>;

// <unk> <s> <u> a b _ _a, where _ stands for U+2581 in the file and <u> is a user token.
Vocab tiny() {
  Vocab v{.model = "llama", .pre = "default"};
  v.tokens = {"<unk>", "<s>", "a\u2581b", "a", "b", "\u2581", "\u2581a"};
  v.types.assign(v.tokens.size(), TokenType::kNormal);
  v.types[0] = TokenType::kUnknown;
  v.types[1] = TokenType::kControl;
  v.types[2] = TokenType::kUser;
  v.scores = {0, 0, 0, -3, -4, -2, -1};
  v.unknown = 0;
  v.bos = 1;
  return v;
}

TEST(SpmTokenizer, SpacesAreSpelledAndReadBack) {
  const auto t = Tokenizer::create(tiny());  // by its model name
  EXPECT_EQ(t->encode("b a"), (Ids{4, 6}));
  EXPECT_EQ(t->encode("b\u2581a"), (Ids{4, 6}));  // the spelling itself is a space too
  EXPECT_EQ(t->decode(Ids{4, 6, 5, 2}), "b a a b");
  EXPECT_EQ(t->dropped_merges(), 0u);
}

TEST(SpmTokenizer, ATextMayBeginWithASpace) {
  Vocab v = tiny();
  v.add_space_prefix = true;
  const auto t = make_spm_tokenizer(std::move(v));
  EXPECT_EQ(t->encode("a"), (Ids{6}));
  EXPECT_EQ(t->encode("ab"), (Ids{6, 4}));
  EXPECT_EQ(t->encode(""), Ids{});
  EXPECT_EQ(t->encode("a b"), (Ids{5, 2}));
  // A control token stands in for it, and no later text gets one.
  EXPECT_EQ(t->encode("<s>ab", {.parse_special = true}), (Ids{1, 3, 4}));
  EXPECT_EQ(t->encode("b<s>a", {.parse_special = true}), (Ids{5, 4, 1, 3}));
}

TEST(SpmTokenizer, UserTokensAreFoundAndControlTokensOnlyOnRequest) {
  const auto t = make_spm_tokenizer(tiny());
  EXPECT_EQ(t->encode("aa bb"), (Ids{3, 2, 4}));
  EXPECT_EQ(t->encode("<s>"), (Ids{0}));  // three unknown characters in a row are one token
  EXPECT_EQ(t->encode("<s>", {.parse_special = true}), (Ids{1}));
}

TEST(SpmTokenizer, BosOnlyIfTheVocabularyAndTheCallerWantIt) {
  Vocab v = tiny();
  EXPECT_EQ(make_spm_tokenizer(v)->encode("a"), Ids{3});
  v.add_bos = true;
  EXPECT_EQ(make_spm_tokenizer(v)->encode("a"), (Ids{1, 3}));
  EXPECT_EQ(make_spm_tokenizer(v)->encode("a", {.add_bos = false}), Ids{3});
}

TEST(SpmTokenizer, AllByteTokensReplaceTheUnknownOne) {
  Vocab v = tiny();
  constexpr char kHex[] = "0123456789ABCDEF";
  for (int b = 0; b < 256; ++b) {
    v.tokens.push_back(std::string("<0x") + kHex[b / 16] + kHex[b % 16] + ">");
    v.types.push_back(TokenType::kByte);
    v.scores.push_back(0);
  }
  const auto t = make_spm_tokenizer(v);
  EXPECT_EQ(t->encode("a\u00e9"), (Ids{3, 7 + 0xc3, 7 + 0xa9}));
  EXPECT_EQ(t->decode(Ids{7 + 0xc3, 7 + 0xa9}), "\u00e9");
  v.tokens.pop_back(), v.types.pop_back(), v.scores.pop_back();  // one is missing
  EXPECT_EQ(make_spm_tokenizer(v)->encode("a\u00e9"), (Ids{3, 0}));
}

TEST(SpmTokenizer, RefusesBadVocabularies) {
  const auto key_of = [](const auto& spoil) -> std::string {
    Vocab v = tiny();
    spoil(v);
    try {
      (void)make_spm_tokenizer(std::move(v));
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Exit::kBadData);
      return e.text().where;
    }
    return "accepted";
  };
  EXPECT_EQ(key_of([](Vocab& v) { v.scores.pop_back(); }), "tokenizer.ggml.scores");
  EXPECT_EQ(key_of([](Vocab& v) { v.scores.clear(); }), "tokenizer.ggml.scores");
  EXPECT_EQ(key_of([](Vocab& v) { v.types.pop_back(); }), "tokenizer.ggml.token_type");
  EXPECT_EQ(key_of([](Vocab& v) {
              v.unknown = -1;
              v.types[0] = TokenType::kControl;
            }),
            "tokenizer.ggml.tokens");
  EXPECT_EQ(key_of([](Vocab& v) { v.types[3] = TokenType::kByte; }), "tokenizer.ggml.tokens");
  EXPECT_EQ(key_of([](Vocab& v) { v.unknown = -1; }), "accepted");  // its type says which it is
  const auto t = make_spm_tokenizer(tiny());
  EXPECT_THROW(t->token_bytes(7), Error);
  EXPECT_THROW(t->decode(Ids{-1}), Error);
}

}  // namespace
}  // namespace ra::tokenizer
