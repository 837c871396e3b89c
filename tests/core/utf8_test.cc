// SPDX-License-Identifier: Apache-2.0
#include "lib/core/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace ra {
namespace {

using namespace std::string_literals;

struct Case {
  std::string bytes;
  std::size_t length;  // of the first sequence, 0 = invalid
};

TEST(Utf8, FirstAndLastSequenceOfEachLength) {
  for (const auto& [bytes, length] : {Case{"\0"s, 1},
                                      {"\x7f", 1},
                                      {"\xc2\x80", 2},
                                      {"\xdf\xbf", 2},
                                      {"\xe0\xa0\x80", 3},
                                      {"\xed\x9f\xbf", 3},
                                      {"\xee\x80\x80", 3},
                                      {"\xef\xbf\xbf", 3},
                                      {"\xf0\x90\x80\x80", 4},
                                      {"\xf4\x8f\xbf\xbf", 4}}) {
    EXPECT_EQ(utf8_sequence_length(bytes), length);
    EXPECT_EQ(utf8_sequence_length(bytes + "tail"), length);
    EXPECT_EQ(first_invalid_utf8(bytes), std::nullopt);
    // Cut short, it is invalid at its first byte.
    for (std::size_t n = 1; n < length; ++n) EXPECT_EQ(first_invalid_utf8(bytes.substr(0, n)), 0u);
  }
}

TEST(Utf8, RefusesWhatIsNotShortestFormOrNotACodePoint) {
  for (const std::string bytes :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xff",
        "\xc3(", "\xe2\x28\xa1", "\xe2\x82\x28", "\xf0\x28\x8c\xbc", "\xf0\x90\x28\xbc",
        "\xf0\x90\x8c\x28"})
    EXPECT_EQ(utf8_sequence_length(bytes), 0u) << testing::PrintToString(bytes);
  EXPECT_EQ(utf8_sequence_length(""), 0u);
}

TEST(Utf8, NamesTheFirstBadByte) {
  EXPECT_EQ(first_invalid_utf8(""), std::nullopt);
  EXPECT_EQ(first_invalid_utf8("caf\u00e9 \xff"), 6u);
  EXPECT_EQ(first_invalid_utf8("ok\xe2\x82"), 2u);
}

TEST(Utf8, ReplacesEachBadByte) {
  EXPECT_EQ(replace_invalid_utf8("a\xff\xfe"
                                 "b\u00e9"),
            "a\ufffd\ufffdb\u00e9");
  EXPECT_EQ(replace_invalid_utf8("\xe2\x82"), "\ufffd\ufffd");
  EXPECT_EQ(replace_invalid_utf8("a\0b"s), "a\0b"s);
  EXPECT_EQ(replace_invalid_utf8(""), "");
}

}  // namespace
}  // namespace ra
