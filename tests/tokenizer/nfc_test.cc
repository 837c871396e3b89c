// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/nfc.h"

#include <gtest/gtest.h>

#include <string>

namespace ra::tokenizer {
namespace {

TEST(Nfc, LeavesNormalTextAlone) {
  for (const std::string text : {"", "plain", "na\u00efve \u4e2d\u6587 \U0001f600", "\uac00\uac01"})
    EXPECT_EQ(nfc(text), text);
  const std::string nul("a\0b\u0301", 5);
  EXPECT_EQ(nfc(nul), nul);  // b and acute have no composition
}

TEST(Nfc, Composes) {
  EXPECT_EQ(nfc("e\u0301"), "\u00e9");
  EXPECT_EQ(nfc("x e\u0301 y"), "x \u00e9 y");
  EXPECT_EQ(nfc("\u1100\u1161\u11a8"), "\uac01");
  EXPECT_EQ(nfc("\u1100\u1161\u11a7"), "\uac00\u11a7");  // U+11A7 is no final consonant
  EXPECT_EQ(nfc("\u212b"), "\u00c5");
  EXPECT_EQ(nfc("\u0958"), "\u0915\u093c");  // excluded from composition
  EXPECT_EQ(nfc("<\u0338"), "\u226e");
}

TEST(Nfc, OrdersMarks) {
  EXPECT_EQ(nfc("q\u0301\u0323"), "q\u0323\u0301");
  EXPECT_EQ(nfc("a\u0301\u0323"), "\u1ea1\u0301");
  EXPECT_EQ(nfc("q\u0308\u0301"), "q\u0308\u0301");  // equal classes keep their order
}

TEST(Nfc, MarksYoungerThanTheTablesDoNotMove) {
  EXPECT_EQ(nfc("q\u0898\u0323"), "q\u0898\u0323");
  EXPECT_EQ(nfc("e\u0898\u0301"), "e\u0898\u0301");
  EXPECT_EQ(nfc("\U00011935\U00011930"), "\U00011935\U00011930");  // composes since Unicode 13
}

TEST(Nfc, LongRunsOfMarksStayFast) {
  std::string text = "a", low, high;
  for (int i = 0; i < 200'000; ++i) {  // exchanging neighbours would take 10^10 steps
    text += "\u0301\u0327";
    low += "\u0327";
    high += "\u0301";
  }
  // a + acute compose across the cedillas: U+00E1, then what is left in order.
  EXPECT_EQ(nfc(text), "\u00e1" + low + high.substr(2));
}

}  // namespace
}  // namespace ra::tokenizer
