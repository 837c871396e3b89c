// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/unicode_tables.h"

#include <gtest/gtest.h>

namespace ra::tokenizer {
namespace {

std::size_t checked_size(std::span<const CodePointRange> ranges) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    EXPECT_LE(ranges[i].first, ranges[i].last);
    EXPECT_LE(ranges[i].last, 0x10ffffu);
    EXPECT_TRUE(i == 0 || ranges[i - 1].last < ranges[i].first);
    n += ranges[i].last - ranges[i].first + 1;
  }
  return n;
}

TEST(UnicodeTables, AreAscendingAndDisjoint) {
  EXPECT_EQ(checked_size(unicode_letters()), 141028u);  // general category L of Unicode 16
  EXPECT_EQ(checked_size(unicode_numbers()), 1911u);    // and N
  EXPECT_EQ(checked_size(unicode_later_digits()), 13u);
  EXPECT_GT(checked_size(unicode_normalized()), 11172u);  // at least the Hangul syllables
}

}  // namespace
}  // namespace ra::tokenizer
