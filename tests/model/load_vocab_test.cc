// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "lib/core/error.h"
#include "lib/model/load.h"
#include "tests/support/fake_gguf.h"

namespace ra::model {
namespace {

using std::int64_t;
using test::FakeGguf;
using test::tiny_model;

void expect_refused(const std::string& key, gguf::Value value) {
  FakeGguf file(tiny_model("llama-f32"));
  file.set(key, std::move(value));
  try {
    load_vocab(file);
    ADD_FAILURE() << key << ": accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Exit::kBadData) << e.what();
    EXPECT_EQ(e.text().where, key) << e.what();
  }
}

TEST(LoadVocab, ReadsTheKeys) {
  const tokenizer::Vocab v = load_vocab(FakeGguf(tiny_model("llama-f32")));
  EXPECT_EQ(v.model, "gpt2");
  EXPECT_EQ(v.pre, "smollm");
  ASSERT_EQ(v.tokens.size(), 288u);
  ASSERT_EQ(v.types.size(), 288u);
  EXPECT_EQ(v.tokens[0], "<|endoftext|>");
  EXPECT_EQ(v.types[0], tokenizer::TokenType::kControl);
  EXPECT_EQ(v.types[3], tokenizer::TokenType::kNormal);
  EXPECT_FALSE(v.merges.empty());
  EXPECT_EQ(v.bos, 0);
  EXPECT_EQ(v.eos, 2);
  EXPECT_EQ(v.unknown, -1);
  EXPECT_FALSE(v.add_bos);
}

TEST(LoadVocab, Llama3AddsBosUnlessTheFileSaysOtherwise) {
  FakeGguf file(tiny_model("llama-f32"));
  file.set("tokenizer.ggml.pre", std::string("llama-bpe"));
  EXPECT_FALSE(load_vocab(file).add_bos);
  file.erase("tokenizer.ggml.add_bos_token");
  EXPECT_TRUE(load_vocab(file).add_bos);
  file.erase("tokenizer.ggml.bos_token_id");
  EXPECT_THROW(load_vocab(file), Error);
}

TEST(LoadVocab, SentencePieceHasScoresAndDefaultsOfItsOwn) {
  FakeGguf file(tiny_model("gemma3-f16"));
  const tokenizer::Vocab v = load_vocab(file);
  EXPECT_EQ(v.model, "llama");
  ASSERT_EQ(v.scores.size(), 320u);
  EXPECT_GT(v.scores[263], v.scores[264]);
  EXPECT_EQ(v.unknown, 3);
  EXPECT_TRUE(v.add_bos);
  EXPECT_FALSE(v.add_space_prefix);
  EXPECT_TRUE(load_vocab(FakeGguf(tiny_model("phi3-f16"))).add_space_prefix);
  file.erase("tokenizer.ggml.add_bos_token");
  file.erase("tokenizer.ggml.add_space_prefix");
  EXPECT_TRUE(load_vocab(file).add_bos);
  EXPECT_TRUE(load_vocab(file).add_space_prefix);
  std::vector<double> scores(320);
  scores[7] = NAN;
  file.set("tokenizer.ggml.scores", gguf::Array(scores));
  EXPECT_THROW(load_vocab(file), Error);
}

TEST(LoadVocab, ArraysMustAgreeInLength) {
  for (const std::size_t n : {std::size_t{0}, std::size_t{287}, std::size_t{289}}) {
    expect_refused("tokenizer.ggml.token_type", gguf::Array(std::vector<int64_t>(n, 1)));
    expect_refused("tokenizer.ggml.scores", gguf::Array(std::vector<double>(n, 0)));
  }
  expect_refused("tokenizer.ggml.tokens", gguf::Array(std::vector<std::string>{}));
  FakeGguf file(tiny_model("llama-f32"));
  file.set("tokenizer.ggml.scores", gguf::Array(std::vector<double>(288, 0)));
  EXPECT_NO_THROW(load_vocab(file));
  file.erase("tokenizer.ggml.token_type");
  EXPECT_TRUE(load_vocab(file).types.empty());
  file.erase("tokenizer.ggml.tokens");
  EXPECT_THROW(load_vocab(file), Error);
}

TEST(LoadVocab, TypesAndSpecialIdsMustBeInRange) {
  for (const int64_t bad : {0, 7, -1}) {
    std::vector<int64_t> types(288, 1);
    types[17] = bad;
    expect_refused("tokenizer.ggml.token_type", gguf::Array(types));
  }
  for (const std::string name : {"bos", "eos", "unknown"})
    for (const int64_t bad : {int64_t{288}, int64_t{-1}, int64_t{1} << 32})
      expect_refused("tokenizer.ggml." + name + "_token_id", bad);
}

}  // namespace
}  // namespace ra::model
