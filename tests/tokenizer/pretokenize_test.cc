// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/pretokenize.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ra::tokenizer {
namespace {

using Pieces = std::vector<std::string>;

Pieces split(std::string_view rule, std::string_view text) {
  const PreRule* r = find_pre_rule(rule);
  Pieces out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = r->piece_end(text, begin);
    out.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return out;
}

TEST(Pretokenize, FindsRulesByName) {
  EXPECT_EQ(find_pre_rule("default"), nullptr);
  EXPECT_EQ(find_pre_rule(""), nullptr);
  for (const PreRule& rule : pre_rules()) EXPECT_EQ(find_pre_rule(rule.name), &rule);
  EXPECT_TRUE(find_pre_rule("qwen2")->nfc);
  EXPECT_TRUE(find_pre_rule("llama-bpe")->whole_pieces);
}

TEST(Pretokenize, Numbers) {
  EXPECT_EQ(split("smollm", "a 1234"), (Pieces{"a", " ", "1", "2", "3", "4"}));
  EXPECT_EQ(split("qwen2", "a 1234"), (Pieces{"a", " ", "1", "2", "3", "4"}));
  EXPECT_EQ(split("llama-bpe", "a 1234"), (Pieces{"a", " ", "123", "4"}));
}

TEST(Pretokenize, SmollmNeverSeesPastADigit) {
  EXPECT_EQ(split("smollm", "a   1"), (Pieces{"a", "   ", "1"}));
  EXPECT_EQ(split("qwen2", "a   1"), (Pieces{"a", "  ", " ", "1"}));
  EXPECT_EQ(split("smollm", "a   b"), (Pieces{"a", "  ", " b"}));
  // U+11DE0 is numeric only for the digit splitter; the regular expressions have an older Unicode.
  EXPECT_EQ(split("smollm", "! \U00011de0!"), (Pieces{"!", " ", "\U00011de0", "!"}));
  EXPECT_EQ(split("qwen2", "! \U00011de0!"), (Pieces{"!", " \U00011de0!"}));
}

TEST(Pretokenize, Contractions) {
  EXPECT_EQ(split("smollm", "I'll I'LL"), (Pieces{"I", "'ll", " I", "'", "LL"}));
  EXPECT_EQ(split("qwen2", "I'll I'LL"), (Pieces{"I", "'ll", " I", "'LL"}));
  EXPECT_EQ(split("qwen2", "'sir 'l 'rx '"), (Pieces{"'s", "ir", " '", "l", " '", "rx", " '"}));
  EXPECT_EQ(split("qwen2", "'\u017fa"), (Pieces{"'\u017f", "a"}));  // long s folds to s
  EXPECT_EQ(split("smollm", "'\u017fa"), (Pieces{"'", "\u017fa"}));
  EXPECT_EQ(split("qwen2", "'"), Pieces{"'"});
  EXPECT_EQ(split("qwen2", "'l"), Pieces{"'l"});
  EXPECT_EQ(split("qwen2", "'\u00e9"), Pieces{"'\u00e9"});
}

TEST(Pretokenize, LettersTakeOneLeadingCharacter) {
  EXPECT_EQ(split("qwen2", "(foo)\tbar\nbaz"), (Pieces{"(foo", ")", "\tbar", "\n", "baz"}));
  EXPECT_EQ(split("smollm", "(foo)\tbar"), (Pieces{"(", "foo", ")", "\t", "bar"}));
}

TEST(Pretokenize, LineBreaks) {
  EXPECT_EQ(split("qwen2", "a;\r\n\r\n  b"), (Pieces{"a", ";\r\n\r\n", " ", " b"}));
  EXPECT_EQ(split("qwen2", "a \n \n  b"), (Pieces{"a", " \n \n", " ", " b"}));
  EXPECT_EQ(split("smollm", "a \n \n  b"), (Pieces{"a", " \n \n ", " b"}));
  EXPECT_EQ(split("llama-bpe", "a  \n"), (Pieces{"a", "  \n"}));
}

TEST(Pretokenize, WhitespaceIsUnicode) {
  EXPECT_EQ(split("qwen2", "1\u3000\u2028\u0085!"), (Pieces{"1", "\u3000\u2028", "\u0085", "!"}));
  EXPECT_EQ(split("qwen2", "1\u180e!"), (Pieces{"1", "\u180e!"}));  // no space since Unicode 6.3
}

TEST(Pretokenize, NulIsAnOrdinaryCharacter) {
  EXPECT_EQ(split("qwen2", std::string_view("a\0b", 3)), (Pieces{"a", std::string("\0b", 2)}));
}

}  // namespace
}  // namespace ra::tokenizer
