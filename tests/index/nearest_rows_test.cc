// SPDX-License-Identifier: Apache-2.0
#include "lib/index/nearest_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/index/synthetic.h"
#include "tests/support/plain_row_search.h"

namespace ra::index {
namespace {

double distance2(MatView<const float> x, std::size_t a, std::size_t b) {
  double sum = 0;
  for (std::size_t j = 0; j < x.cols; ++j) {
    const double d = static_cast<double>(x.row(a)[j]) - static_cast<double>(x.row(b)[j]);
    sum += d * d;
  }
  return sum;
}

TEST(NearestRowsTest, FindsThemInOrderOverTilesAndChunks) {
  const auto x = testing::gaussian(1500, 8, 1);  // more than a chunk, no whole number of tiles
  BuildClock clock;
  std::int64_t distances = 0;
  const LinkLists links = nearest_rows(x.view(), x.view(), 11, clock, distances);
  EXPECT_EQ(distances, 1500 * 1500);
  ASSERT_EQ(links.size(), 1500u);
  double found = 0;
  for (std::size_t i = 0; i < 1500; i += 7) {
    std::vector<std::uint32_t> all(1500);
    std::iota(all.begin(), all.end(), 0u);
    std::sort(all.begin(), all.end(), [&](std::uint32_t a, std::uint32_t b) {
      return distance2(x.view(), i, a) < distance2(x.view(), i, b);
    });
    ASSERT_EQ(links[i].size(), 11u);
    EXPECT_EQ(links[i][0], i) << "a row is its own nearest";
    for (std::size_t j = 0; j < 11; ++j)
      found += std::find(all.begin(), all.begin() + 11, links[i][j]) != all.begin() + 11;
    // Products may be rounded to bf16.
    EXPECT_LT(distance2(x.view(), i, links[i][1]), 1.1 * distance2(x.view(), i, all[1]) + 0.05);
  }
  EXPECT_GT(found / (215 * 11), 0.9);
}

TEST(NearestRowsTest, RowsOfAnotherSetMayBeStridedAndFew) {
  BuildClock clock;
  std::int64_t distances = 0;
  const auto x = testing::gaussian(300, 8, 2);
  const MatView<const float> every{x.data(), 3, 8, 8 * 100};
  const LinkLists links = nearest_rows(x.view(), every, 10, clock, distances);
  EXPECT_EQ(distances, 300 * 3);
  for (std::size_t i = 0; i < 300; ++i) ASSERT_EQ(links[i].size(), 3u);
  EXPECT_EQ(links[200][0], 2u);
  ra::testing::PlainRowSearch search;
  distances = 0;
  const LinkLists others = nearest_rows(x.view(), every, 10, clock, distances, &search);
  EXPECT_EQ(distances, 300 * 3);
  EXPECT_EQ(search.calls, 1);
  ASSERT_EQ(others.size(), 300u);
  EXPECT_EQ(others[200], links[200]);
}

TEST(NearestRowsTest, TiesGoToTheSmallerRow) {
  Matrix<float> x(400, 4);  // all the same
  BuildClock clock;
  std::int64_t distances = 0;
  const LinkLists links = nearest_rows(x.view(), x.view(), 3, clock, distances);
  EXPECT_EQ(links[7], (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_EQ(links[399], (std::vector<std::uint32_t>{0, 1, 2}));
}

}  // namespace
}  // namespace ra::index
