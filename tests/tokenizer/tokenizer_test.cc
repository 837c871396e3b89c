// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/tokenizer.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <functional>
#include <string>

#include "lib/core/error.h"
#include "tests/tokenizer/fixture.h"

namespace ra::tokenizer {
namespace {

using Ids = std::vector<std::int32_t>;

// a b c ab abc <c> <u>, with merges a b, ab c.
Vocab tiny() {
  Vocab v{.model = "gpt2", .pre = "qwen2"};
  v.tokens = {"a", "b", "c", "ab", "abc", "<c>", "<u>", "Ġ", "[PAD7]"};
  v.types.assign(v.tokens.size(), TokenType::kNormal);
  v.types[5] = TokenType::kControl;
  v.types[6] = TokenType::kUser;
  v.types[8] = TokenType::kUnused;
  v.merges = {"a b", "ab c"};
  return v;
}

// The text of the error that creating this vocabulary ends in.
std::string refusal(const std::function<void(Vocab&)>& spoil) {
  Vocab v = tiny();
  spoil(v);
  try {
    (void)Tokenizer::create(std::move(v));
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kBadData);
    return e.what();
  }
  return "accepted";
}

TEST(Tokenizer, MergesAndDecodes) {
  const auto t = Tokenizer::create(tiny());
  EXPECT_EQ(t->encode("abc ab"), (Ids{4, 7, 3}));
  EXPECT_EQ(t->decode(Ids{4, 7, 3}), "abc ab");
  EXPECT_EQ(t->encode(""), Ids{});
  EXPECT_EQ(t->dropped_merges(), 0u);
}

TEST(Tokenizer, ControlSpellingsAreTextUnlessAskedFor) {
  Vocab v = tiny();
  v.tokens.insert(v.tokens.end(), {"<", ">"});
  v.types.insert(v.types.end(), 2, TokenType::kNormal);
  const auto t = Tokenizer::create(std::move(v));
  EXPECT_EQ(t->encode("a<c>a"), (Ids{0, 9, 2, 10, 0}));
  EXPECT_EQ(t->encode("a<c>a", {.parse_special = true}), (Ids{0, 5, 0}));
  // Added tokens that are not special are found either way, as in `tokenizers`.
  EXPECT_EQ(t->encode("a<u>a"), (Ids{0, 6, 0}));
  EXPECT_EQ(t->decode(Ids{5, 6}), "<c><u>");
}

TEST(Tokenizer, BosOnlyIfTheVocabularyAndTheCallerWantIt) {
  Vocab v = tiny();
  v.bos = 5;
  EXPECT_EQ(Tokenizer::create(v)->encode("a"), Ids{0});
  v.add_bos = true;
  EXPECT_EQ(Tokenizer::create(v)->encode("a"), (Ids{5, 0}));
  EXPECT_EQ(Tokenizer::create(v)->encode(""), Ids{5});
  EXPECT_EQ(Tokenizer::create(v)->encode("a", {.add_bos = false}), Ids{0});
}

TEST(Tokenizer, BytesThatAreNoTokenAreLeftOut) {
  EXPECT_EQ(Tokenizer::create(tiny())->encode("a!b"), (Ids{0, 1}));  // pieces "a" and "!b"
  EXPECT_EQ(Tokenizer::create(tiny())->encode("a\U0001f600"), Ids{0});
}

TEST(Tokenizer, CountsDroppedMerges) {
  Vocab v = tiny();
  v.merges = {"a b", "b c", "x y", "ab", "", " b", "ab c", "a ", "<c >"};
  const auto t = Tokenizer::create(std::move(v));
  EXPECT_EQ(t->dropped_merges(), 7u);
  EXPECT_EQ(t->encode("abc"), Ids{4});
}

TEST(Tokenizer, MergesNeverMakeControlTokens) {
  Vocab v = tiny();
  v.types[4] = TokenType::kControl;  // abc
  const auto t = Tokenizer::create(std::move(v));
  EXPECT_EQ(t->encode("abc"), (Ids{3, 2}));
  EXPECT_EQ(t->dropped_merges(), 1u);
}

TEST(Tokenizer, ByteTokensAndTokensOutsideTheAlphabet) {
  Vocab v = tiny();
  v.tokens.insert(v.tokens.end(), {"<0xFf>", "two words", "\xff"});
  v.types.insert(v.types.end(), {TokenType::kByte, TokenType::kNormal, TokenType::kNormal});
  const auto t = Tokenizer::create(std::move(v));
  EXPECT_EQ(t->token_bytes(9), "\xff");
  EXPECT_EQ(t->token_bytes(10), "two words");
  EXPECT_EQ(t->token_bytes(11), "\xff");
  EXPECT_EQ(t->token_bytes(7), " ");
  EXPECT_EQ(t->token_bytes(8), "[PAD7]");
}

TEST(Tokenizer, RefusesBadVocabularies) {
  const auto has = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos ? testing::AssertionSuccess()
                                                : testing::AssertionFailure() << text;
  };
  EXPECT_TRUE(has(refusal([](Vocab& v) { v.model = "bert"; }), "tokenizer 'bert'"));
  EXPECT_TRUE(has(refusal([](Vocab& v) { v.pre = "deepseek-v3"; }), "'deepseek-v3'"));
  EXPECT_TRUE(has(refusal([](Vocab& v) { v.pre = ""; }), "smollm, qwen2, llama-bpe"));
  EXPECT_TRUE(has(refusal([](Vocab& v) { v.types.pop_back(); }), "8 types for 9 tokens"));
  EXPECT_TRUE(has(refusal([](Vocab& v) { v.types[3] = TokenType{0}; }), "token 3 has type 0"));
  EXPECT_TRUE(has(refusal([](Vocab& v) { v.types[3] = TokenType{7}; }), "token 3 has type 7"));
  EXPECT_TRUE(has(refusal([](Vocab& v) { v.bos = 9; }), "bos_token_id: id 9"));
  EXPECT_TRUE(has(refusal([](Vocab& v) { v.eos = -2; }), "eos_token_id: id -2"));
  EXPECT_TRUE(has(refusal([](Vocab& v) { v.unknown = 1 << 30; }), "unknown_token_id"));
  EXPECT_TRUE(has(refusal([](Vocab& v) { v.add_bos = true; }), "no bos_token_id"));
  EXPECT_TRUE(has(refusal([](Vocab& v) { v.tokens.clear(), v.types.clear(); }), "no tokens"));
  for (const char* spelling :
       {"", "<0x>", "<0x1>", "<0xGG>", "<0x0A", "0x0A>>", "<0x+A>", "<0x0AA>"})
    EXPECT_TRUE(has(refusal([&](Vocab& v) {
                      v.types[0] = TokenType::kByte;
                      v.tokens[0] = spelling;
                    }),
                    "byte token 0"))
        << spelling;
  EXPECT_EQ(refusal([](Vocab& v) { v.types.clear(); }), "accepted");
}

TEST(Tokenizer, RefusesIdsOutsideTheVocabulary) {
  const auto t = Tokenizer::create(tiny());
  EXPECT_THROW(t->token_bytes(9), Error);
  EXPECT_THROW(t->token_bytes(-1), Error);
  EXPECT_THROW(t->decode(Ids{0, 1 << 30}), Error);
}

// ---- against PyPI `tokenizers` and `sentencepiece`
// ------------------------------------------------

class SmallVocabulary : public testing::TestWithParam<const char*> {
 protected:
  Json golden_ = read_golden(std::string(GetParam()) + ".json");
  std::unique_ptr<Tokenizer> tokenizer_ = Tokenizer::create(small_vocab(golden_));
};

TEST_P(SmallVocabulary, IsIdenticalToTheOracle) {
  EXPECT_EQ(tokenizer_->dropped_merges(), 0u);
  expect_identical(*tokenizer_, golden_);
}

// On a stack that a recursive matcher would exhaust after a few thousand characters.
TEST_P(SmallVocabulary, MillionEqualCharactersOnASmallStack) {
  struct Job {
    const Tokenizer* tokenizer;
    const Json* golden;
  } job{tokenizer_.get(), &golden_};
  const auto run = [](void* argument) -> void* {
    const Job& j = *static_cast<const Job*>(argument);
    expect_identical_run(*j.tokenizer, *j.golden, 0);  // "a"
    expect_identical_run(*j.tokenizer, *j.golden, 5);  // U+0301, a combining mark
    return nullptr;
  };
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 256 * 1024), 0);
  pthread_t thread;
  ASSERT_EQ(pthread_create(&thread, &attributes, run, &job), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

INSTANTIATE_TEST_SUITE_P(Rules, SmallVocabulary,
                         testing::Values("smollm", "qwen2", "llama-bpe", "spm", "spm-unknown"),
                         [](const auto& test) {
                           std::string name = test.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace ra::tokenizer
