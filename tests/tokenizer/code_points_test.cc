// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/code_points.h"

#include <gtest/gtest.h>

namespace ra::tokenizer {
namespace {

TEST(CodePoints, RoundTripEveryOne) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c == 0xd800) c = 0xe000;
    std::string text;
    append_utf8(c, text);
    const CodePoint read = code_point_at(text, 0), checked = checked_code_point(text, 0);
    ASSERT_EQ(read.value, c);
    ASSERT_EQ(read.bytes, text.size());
    ASSERT_EQ(checked.value, c);
    ASSERT_EQ(checked.bytes, text.size());
  }
}

TEST(CodePoints, CheckedReadStopsAtInvalidBytes) {
  for (const char* text : {"\x80", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80"})
    EXPECT_EQ(checked_code_point(text, 0).bytes, 0u);
}

}  // namespace
}  // namespace ra::tokenizer
