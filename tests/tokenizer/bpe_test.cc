// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/core/rng.h"

namespace ra::tokenizer {
namespace {

using Ids = std::vector<std::int32_t>;

Ids encode(const Bpe& bpe, std::string_view piece) {
  Ids out;
  Bpe::Merger(bpe).encode(piece, out);
  return out;
}

TEST(Bpe, BestRankFirstThenLeftmost) {
  const std::vector<std::string> tokens{"a", "b", "c", "ab", "bc", "aa"};
  const Bpe bpe(tokens, std::vector<std::string>{"b c", "a b", "a a"});
  EXPECT_EQ(encode(bpe, "abc"), (Ids{0, 4}));
  EXPECT_EQ(encode(bpe, "aaa"), (Ids{5, 0}));
  EXPECT_EQ(encode(bpe, "aab"), (Ids{0, 3}));
  EXPECT_EQ(encode(bpe, ""), Ids{});
}

TEST(Bpe, BytesThatAreNoTokenVanishBeforeMerging) {
  const std::vector<std::string> tokens{"a", "b", "ab"};
  const Bpe bpe(tokens, std::vector<std::string>{"a b"});
  EXPECT_EQ(encode(bpe, "a?b"), Ids{2});
  EXPECT_EQ(encode(bpe, "??"), Ids{});
}

TEST(Bpe, OfEqualTokensTheFirstOfEqualMergesTheLast) {
  const std::vector<std::string> tokens{"a", "b", "ab", "ab", "ba"};
  const Bpe bpe(tokens, std::vector<std::string>{"a b", "b a", "a b"});
  EXPECT_EQ(bpe.find("ab"), 2);
  EXPECT_EQ(encode(bpe, "aba"), (Ids{0, 4}));  // "a b" has rank 2
}

TEST(Bpe, DropsMergesWithoutTokens) {
  const std::vector<std::string> tokens{"a", "b", "ab", " "};
  const Bpe bpe(tokens, std::vector<std::string>{"a b", "b a", "a", "", "  a", "a  "});
  EXPECT_EQ(bpe.dropped_merges(), 5u);
}

TEST(Bpe, TheSpaceThatSplitsAMergeIsNeverItsFirstCharacter) {
  const std::vector<std::string> tokens{"a", "b", "ab"};
  EXPECT_EQ(Bpe(tokens, std::vector<std::string>{" a b"}).dropped_merges(), 1u);
}

// The definition, step by step: look at all neighbours, merge the best pair, start again.
Ids by_definition(const std::vector<std::string>& tokens, const std::vector<std::string>& merges,
                  std::string_view piece) {
  std::vector<std::string> parts;
  for (const char c : piece) parts.emplace_back(1, c);
  for (;;) {
    std::size_t best = parts.size(), best_rank = merges.size();
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto it = std::ranges::find(merges, parts[i] + " " + parts[i + 1]);
      const auto rank = static_cast<std::size_t>(it - merges.begin());
      if (rank < best_rank) best = i, best_rank = rank;
    }
    if (best == parts.size()) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
  Ids out;
  for (const std::string& part : parts)
    out.push_back(static_cast<std::int32_t>(std::ranges::find(tokens, part) - tokens.begin()));
  return out;
}

TEST(Bpe, AgreesWithTheDefinitionOnRandomVocabularies) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Rng rng(seed);
    std::vector<std::string> tokens{"a", "b", "c"}, merges;
    std::set<std::string> known;
    while (tokens.size() < 40) {
      const std::string left = tokens[rng.below(tokens.size())];
      const std::string right = tokens[rng.below(tokens.size())];
      if (left.size() + right.size() > 12 || !known.insert(left + " " + right).second) continue;
      merges.push_back(left + " " + right);
      if (std::ranges::find(tokens, left + right) == tokens.end()) tokens.push_back(left + right);
    }
    const Bpe bpe(tokens, merges);
    ASSERT_EQ(bpe.dropped_merges(), 0u);
    for (int n = 0; n < 60; ++n) {
      std::string piece;
      for (std::uint64_t left = rng.below(60); left > 0; --left)
        piece += static_cast<char>('a' + rng.below(3));
      ASSERT_EQ(encode(bpe, piece), by_definition(tokens, merges, piece)) << piece;
    }
  }
}

}  // namespace
}  // namespace ra::tokenizer
