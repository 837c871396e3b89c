// SPDX-License-Identifier: Apache-2.0
#include "lib/tokenizer/spm.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace ra::tokenizer {
namespace {

using Ids = std::vector<std::int32_t>;

// Pieces with scores; `unused` by index.
class Pieces {
 public:
  Pieces(std::vector<std::pair<std::string, float>> pieces, std::vector<std::size_t> unused = {}) {
    std::vector<bool> flags(pieces.size());
    for (const std::size_t id : unused) flags[id] = true;
    for (const auto& [text, score] : pieces) texts_.push_back(text), scores_.push_back(score);
    Spm::Fallback fallback{.byte_ids = {}, .bytes = false, .unknown = 100};
    plain_ = std::make_unique<Spm>(texts_, scores_, flags, fallback);
    for (std::int32_t b = 0; b < 256; ++b)
      fallback.byte_ids[static_cast<std::size_t>(b)] = 1000 + b;
    fallback.bytes = true;
    with_bytes_ = std::make_unique<Spm>(texts_, scores_, flags, fallback);
  }
  Ids encode(std::string_view text) const { return run(*plain_, text); }
  Ids encode_with_bytes(std::string_view text) const { return run(*with_bytes_, text); }

 private:
  static Ids run(const Spm& spm, std::string_view text) {
    Ids ids;
    Spm::Merger(spm).encode(text, ids);
    return ids;
  }
  std::vector<std::string> texts_;
  std::vector<float> scores_;
  std::unique_ptr<Spm> plain_, with_bytes_;
};

TEST(Spm, TheBestScoreMergesFirst) {
  const std::vector<std::pair<std::string, float>> letters{{"a", -9}, {"b", -9}, {"c", -9}};
  auto pieces = letters;
  pieces.insert(pieces.end(), {{"ab", -2}, {"bc", -1}});
  EXPECT_EQ(Pieces(pieces).encode("abc"), (Ids{0, 4}));
  pieces[3].second = -0.5f;
  EXPECT_EQ(Pieces(pieces).encode("abc"), (Ids{3, 2}));
  pieces[4].second = -0.5f;  // equal: the leftmost
  EXPECT_EQ(Pieces(pieces).encode("abc"), (Ids{3, 2}));
  pieces.emplace_back("abc", -5);
  EXPECT_EQ(Pieces(pieces).encode("abcab"), (Ids{5, 3}));
}

TEST(Spm, EqualScoresGoFromTheLeft) {
  const Pieces p({{"a", -9}, {"aa", -1}, {"aaaa", -1}});
  EXPECT_EQ(p.encode("aaaaa"), (Ids{2, 0}));
  EXPECT_EQ(p.encode("aaaaaaa"), (Ids{2, 1, 0}));
}

TEST(Spm, ALongPieceNeedsAWayOfMergesToIt) {
  const Pieces p({{"a", -9}, {"b", -9}, {"c", -9}, {"abc", -1}});
  EXPECT_EQ(p.encode("abc"), (Ids{0, 1, 2}));
}

TEST(Spm, CharactersWithoutAPieceAreBytesOrOneUnknown) {
  const Pieces p({{"a", -1}});
  EXPECT_EQ(p.encode("xya\u00e9z"), (Ids{100, 0, 100}));
  EXPECT_EQ(p.encode_with_bytes("xa\u00e9"), (Ids{1000 + 'x', 0, 1000 + 0xc3, 1000 + 0xa9}));
  EXPECT_EQ(p.encode(""), Ids{});
}

TEST(Spm, UnusedPiecesAreSteppingStonesOnly) {
  const Pieces p({{"a", -9}, {"b", -9}, {"c", -9}, {"ab", -1}, {"abc", -2}}, {3});
  EXPECT_EQ(p.encode("abc"), (Ids{4}));
  EXPECT_EQ(p.encode("abab"), (Ids{0, 1, 0, 1}));
  // An unused piece made of an unused piece.
  const Pieces twice({{"a", -9}, {"aa", -1}, {"aaaa", -2}}, {1, 2});
  EXPECT_EQ(twice.encode("aaaaa"), (Ids{0, 0, 0, 0, 0}));
  const Pieces character({{"a", -9}, {"b", -9}}, {0});
  EXPECT_EQ(character.encode("aab"), (Ids{100, 1}));
  EXPECT_EQ(character.encode_with_bytes("ab"), (Ids{1000 + 'a', 1}));
}

}  // namespace
}  // namespace ra::tokenizer
