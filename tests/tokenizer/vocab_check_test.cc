// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/vocab_check.h"

#include <gtest/gtest.h>

#include "lib/core/error.h"

namespace ra::tokenizer {
namespace {

std::string where_of(const Vocab& v) {
  try {
    check_vocabulary(v);
  } catch (const Error& e) {
    return e.text().where;
  }
  return "";
}

// What else is refused is tested through both tokenizers.
TEST(VocabCheck, NamesTheKey) {
  Vocab v{.tokens = {"a", "b"}};
  EXPECT_EQ(where_of(v), "");
  v.bos = 2;
  EXPECT_EQ(where_of(v), "tokenizer.ggml.bos_token_id");
  v.bos = -1;
  v.add_bos = true;
  EXPECT_EQ(where_of(v), "tokenizer.ggml.add_bos_token");
  EXPECT_EQ(where_of({}), "tokenizer.ggml.tokens");
}

TEST(VocabCheck, ByteTokensAreExact) {
  EXPECT_EQ(byte_token("<0x0A>", 0), "\n");
  EXPECT_EQ(byte_token("<0xfF>", 0), "\xff");
  EXPECT_EQ(byte_token("<0x00>", 0), std::string(1, '\0'));
  for (const char* bad : {"", "<0x-1>", "<0x1>", "<0x001>", "0x0A", "<0xG0>"})
    EXPECT_THROW(byte_token(bad, 0), Error) << bad;
}

TEST(VocabCheck, IdsAreInTheVocabulary) {
  const Vocab v{.tokens = {"a", "b"}};
  EXPECT_NO_THROW(check_id(v, 1));
  EXPECT_THROW(check_id(v, 2), Error);
  EXPECT_THROW(check_id(v, -1), Error);
}

}  // namespace
}  // namespace ra::tokenizer
