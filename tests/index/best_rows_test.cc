// SPDX-License-Identifier: Apache-2.0
#include "lib/index/best_rows.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

std::vector<std::uint32_t> ids(std::span<const Hit> hits) {
  std::vector<std::uint32_t> out;
  for (const Hit& hit : hits) out.push_back(hit.id);
  return out;
}

TEST(BestRowsTest, AStreamKeepsTheBestTiesToTheSmallerId) {
  std::vector<float> scores(1000);
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>(i * 7 % 100);
  BestOfStream stream;
  stream.reset(15);
  stream.push_range(scores.data() + 500, 500, 500);
  stream.push_range(scores.data(), 500, 0);
  std::vector<std::uint32_t> all(scores.size());
  for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  std::stable_sort(all.begin(), all.end(), [&](auto a, auto b) { return scores[a] > scores[b]; });
  all.resize(15);
  EXPECT_EQ(stream.kept().size(), 15u);
  EXPECT_EQ(ids(stream.ranked()), all);
}

TEST(BestRowsTest, AStreamGoesOnFromWhatWasKept) {
  const auto scores = testing::gaussian(1, 3000, 3);
  BestOfStream whole, part;
  whole.reset(40);
  whole.push_range(scores.data(), 3000, 0);
  std::vector<Hit> kept;
  for (std::uint32_t i = 0; i < 3000; i += 30) {
    part.reset(40, kept);
    part.push_range(scores.data() + i, 30, i);
    kept.assign(part.kept().begin(), part.kept().end());
  }
  EXPECT_EQ(ids(part.ranked()), ids(whole.ranked()));
  part.reset(0);
  part.push_range(scores.data(), 3000, 0);
  EXPECT_TRUE(part.kept().empty());
}

TEST(BestRowsTest, PiecesGiveTheSameBitsAsAllAtOnce) {
  for (const bool narrow : {false, true}) {
    const auto rows = testing::gaussian(1300, 40, 5), queries = testing::gaussian(77, 40, 6);
    const std::vector<float> bias(1300, 0.25f);
    BestRows whole, pieces;
    whole.reset(queries.view(), 9, narrow);
    whole.offer(rows.view(), bias.data(), 0);
    pieces.reset(queries.view(), 9, narrow);
    for (std::uint32_t i = 0; i < 1300; i += 65)
      pieces.offer(rows.view().row_range(i, 65), bias.data() + i, i);
    for (std::size_t q = 0; q < 77; ++q) {
      const auto a = whole.of(q).ranked(), b = pieces.of(q).ranked();
      ASSERT_EQ(ids(a), ids(b));
      for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].score, b[i].score);
      EXPECT_NEAR(a[0].score, testing::exact(rows.view(), queries.row(q), 1)[0].score + 0.25, 0.1);
    }
  }
}

}  // namespace
}  // namespace ra::index
