// SPDX-License-Identifier: Apache-2.0
#include "lib/index/best_hits.h"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "lib/index/top_k.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

TEST(BestHitsTest, EqualsSorting) {
  CutScratch scratch;
  for (const std::size_t n : {1u, 2u, 17u, 500u})
    for (const std::size_t k : {0u, 1u, 10u, 500u, 700u}) {
      auto scores = testing::gaussian(1, n, n);
      for (std::size_t j = 0; j < n; ++j)
        scores.row(0)[j] = std::round(3 * scores.row(0)[j]);  // ties
      std::vector<std::uint32_t> ids(n);
      for (std::size_t j = 0; j < n; ++j) ids[j] = static_cast<std::uint32_t>(1000 - j);
      std::vector<Hit> want, hits(3);
      for (std::size_t j = 0; j < n; ++j) want.push_back({ids[j], scores.row(0)[j]});
      std::sort(want.begin(), want.end(), better);
      want.resize(std::min(n, k));
      best_hits(scores.row_span(0), ids, k, scratch, hits);
      ASSERT_EQ(hits.size(), want.size());
      for (std::size_t j = 0; j < hits.size(); ++j) EXPECT_EQ(hits[j].id, want[j].id);
      best_unranked(scores.row_span(0), ids, k, scratch, hits);
      std::sort(hits.begin(), hits.end(), better);
      ASSERT_EQ(hits.size(), want.size());
      for (std::size_t j = 0; j < hits.size(); ++j) EXPECT_EQ(hits[j].score, want[j].score);
    }
}

TEST(BestHitsTest, LeavesNanOut) {
  const std::vector<float> scores{1, std::numeric_limits<float>::quiet_NaN(), 3};
  const std::vector<std::uint32_t> ids{5, 6, 7};
  CutScratch scratch;
  std::vector<Hit> hits;
  best_hits(scores, ids, 3, scratch, hits);
  ASSERT_EQ(hits.size(), 2u);
  EXPECT_EQ(hits[0].id, 7u);
  EXPECT_EQ(hits[1].id, 5u);
}

TEST(BestHitsTest, CutKeepsTheEarlierOfTies) {
  const std::vector<float> scores{1, 2, 1, 3, 1, 2};
  CutScratch scratch;
  const auto at = [&](std::size_t m) {
    const auto kept = cut(scores, m, scratch);
    return std::vector<std::uint32_t>(kept.begin(), kept.end());
  };
  EXPECT_EQ(at(0), (std::vector<std::uint32_t>{}));
  EXPECT_EQ(at(2), (std::vector<std::uint32_t>{1, 3}));
  EXPECT_EQ(at(4), (std::vector<std::uint32_t>{0, 1, 3, 5}));
  EXPECT_EQ(at(9).size(), 6u);
}

TEST(BestHitsTest, MthLargestIsTheScoreAtTheCut) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> scores{1, 2, nan, 3, 1, 2};
  CutScratch scratch;
  std::vector<float> all;
  for (std::size_t m = 1; m <= 5; ++m) all.push_back(mth_largest(scores, m, scratch));
  EXPECT_EQ(all, (std::vector<float>{3, 2, 2, 1, 1}));
  EXPECT_EQ(mth_largest(scores, 6, scratch), -std::numeric_limits<float>::infinity());
}

}  // namespace
}  // namespace ra::index
