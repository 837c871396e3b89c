// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/char_class.h"

#include <gtest/gtest.h>

namespace ra::tokenizer {
namespace {

TEST(CharClass, KnowsEveryKind) {
  const CharClasses& of = CharClasses::get();
  EXPECT_EQ(of[U'a'], CharClass::kLetter);
  EXPECT_EQ(of[U'\u4e2d'], CharClass::kLetter);
  EXPECT_EQ(of[U'7'], CharClass::kNumber);
  EXPECT_EQ(of[U'\u00bd'], CharClass::kNumber);
  EXPECT_EQ(of[U' '], CharClass::kSpace);
  EXPECT_EQ(of[U'\u3000'], CharClass::kSpace);
  EXPECT_EQ(of[U'\r'], CharClass::kNewline);
  EXPECT_EQ(of[U'\n'], CharClass::kNewline);
  EXPECT_EQ(of[U'!'], CharClass::kOther);
  EXPECT_EQ(of[U'\u0301'], CharClass::kOther);
  EXPECT_EQ(of[U'\0'], CharClass::kOther);
  EXPECT_EQ(of[U'\U00011de0'], CharClass::kLaterDigit);
  EXPECT_EQ(of[U'\U0010ffff'], CharClass::kOther);
}

}  // namespace
}  // namespace ra::tokenizer
