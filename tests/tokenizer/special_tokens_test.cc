// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/special_tokens.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace ra::tokenizer {
namespace {

std::vector<std::pair<std::size_t, std::int32_t>> matches(const SpecialTokens& s,
                                                          std::string_view text) {
  std::vector<std::pair<std::size_t, std::int32_t>> out;
  for (std::size_t i = 0; i < text.size();) {
    const SpecialTokens::Match m = s.find(text, i);
    if (m.end > m.begin) out.emplace_back(m.begin, m.id);
    i = m.end;
  }
  return out;
}

using Found = std::vector<std::pair<std::size_t, std::int32_t>>;

TEST(SpecialTokens, LeftmostThenLongest) {
  SpecialTokens s;
  EXPECT_TRUE(s.empty());
  s.add("<a", 1);
  s.add("<a|b>", 2);
  s.add("a|b>!", 3);
  s.add("<a", 4);  // the first keeps the spelling
  s.add("", 5);
  EXPECT_FALSE(s.empty());
  EXPECT_EQ(matches(s, "x<a|b>!"), (Found{{1, 2}}));
  EXPECT_EQ(matches(s, "<a|b<a|b>"), (Found{{0, 1}, {4, 2}}));
  EXPECT_EQ(matches(s, "a|b>!"), (Found{{0, 3}}));
  EXPECT_EQ(matches(s, "<<a"), (Found{{1, 1}}));
  EXPECT_EQ(matches(s, "nothing < here"), Found{});
  EXPECT_EQ(matches(s, ""), Found{});
}

TEST(SpecialTokens, EmptySetFindsNothing) {
  const SpecialTokens::Match m = SpecialTokens().find("abc", 1);
  EXPECT_EQ(m.begin, 3u);
  EXPECT_EQ(m.end, 3u);
}

}  // namespace
}  // namespace ra::tokenizer
