// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/byte_alphabet.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace ra::tokenizer {
namespace {

TEST(ByteAlphabet, IsABijection) {
  std::set<std::string> spellings;
  for (int b = 0; b < 256; ++b) {
    const std::string byte(1, static_cast<char>(b));
    const std::string spelling = spell_bytes(byte);
    EXPECT_EQ(read_spelling(spelling), byte) << b;
    spellings.insert(spelling);
  }
  EXPECT_EQ(spellings.size(), 256u);
}

TEST(ByteAlphabet, KnownSpellings) {
  EXPECT_EQ(spell_bytes(" a\n"), "\u0120a\u010a");
  EXPECT_EQ(spell_bytes("\xc3\xa9"), "\u00c3\u00a9");
  EXPECT_EQ(spell_bytes("\xad"), "\u0143");  // the last of the 68
  EXPECT_EQ(read_spelling(""), "");
}

TEST(ByteAlphabet, RefusesWhatIsNotInIt) {
  for (const char* text : {" ", "a b", "\u0144", "\u4e2d", "\u00ad", "\xff", "a\xc4"})
    EXPECT_EQ(read_spelling(text), std::nullopt) << text;
}

}  // namespace
}  // namespace ra::tokenizer
