// SPDX-License-Identifier: Apache-2.0
#include "kernels/select.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/levels.h"
#include "tests/support/random.h"

namespace ra::kernels {
namespace {

class SelectTest : public testing::LevelTest {};
RA_INSTANTIATE_LEVELS(SelectTest);

constexpr float kInf = std::numeric_limits<float>::infinity();

void check(const OpTable& table, const std::vector<float>& scores, std::size_t m) {
  std::vector<float> ranked = scores, scratch(scores.size());
  for (float& v : ranked)
    if (std::isnan(v)) v = -kInf;
  std::vector<float> sorted = ranked;
  std::sort(sorted.rbegin(), sorted.rend());
  const float floor = table.kth_largest(scores.data(), scores.size(), m, scratch.data());
  ASSERT_EQ(floor, sorted[m - 1]) << "n = " << scores.size() << ", m = " << m;
  std::vector<std::uint32_t> want;
  for (std::size_t i = 0; i < ranked.size(); ++i)
    if (ranked[i] >= floor) want.push_back(static_cast<std::uint32_t>(i));
  std::vector<std::uint32_t> all(scores.size() + 1, 77u);
  float same = 0;
  ASSERT_EQ(table.largest(scores.data(), scores.size(), m, &same, scratch.data(), all.data()),
            want.size());
  ASSERT_EQ(same, floor);
  ASSERT_TRUE(std::equal(want.begin(), want.end(), all.begin()));
  ASSERT_EQ(all.back(), 77u) << "wrote past the end";
  for (const std::size_t most : {want.size() + 5, want.size(), want.size() / 2, std::size_t{0}}) {
    std::vector<std::uint32_t> out(want.size() + 6, 77u);
    const std::size_t count = table.at_least(scores.data(), scores.size(), floor, most, out.data());
    ASSERT_EQ(count, std::min(most, want.size()));
    ASSERT_TRUE(
        std::equal(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(count), want.begin()));
    ASSERT_EQ(out[count], 77u) << "wrote past the end";
  }
}

TEST_P(SelectTest, EqualsSortingForEveryLength) {
  for (std::size_t n = 1; n <= 70; ++n)
    for (const std::size_t m : {std::size_t{1}, (n + 1) / 2, n})
      check(table(), ra::testing::random_floats(n, n), m);
  const auto scores = ra::testing::random_floats(5000, 1);
  for (const std::size_t m : {1u, 2u, 100u, 1000u, 4999u, 5000u}) check(table(), scores, m);
}

TEST_P(SelectTest, Ties) {
  auto scores = ra::testing::random_floats(1000, 2);
  for (float& v : scores) v = std::round(v);
  for (const std::size_t m : {1u, 10u, 500u, 1000u}) check(table(), scores, m);
  check(table(), std::vector<float>(333, 0.5f), 17);
}

TEST_P(SelectTest, NanAndInfinityRank) {
  auto scores = ra::testing::random_floats(200, 3);
  for (std::size_t i = 0; i < 200; i += 3) scores[i] = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t i = 1; i < 200; i += 30) scores[i] = kInf;
  for (std::size_t i = 2; i < 200; i += 30) scores[i] = -kInf;
  for (std::size_t m = 1; m <= 200; ++m) check(table(), scores, m);
}

TEST_P(SelectTest, SortedInput) {
  std::vector<float> scores(3000);
  for (std::size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>(i);
  check(table(), scores, 100);
  std::reverse(scores.begin(), scores.end());
  check(table(), scores, 100);
}

TEST_P(SelectTest, ColumnsThatAnyRowFindsGoodEnough) {
  for (const std::size_t group : {0u, 1u, 3u})
    for (const std::size_t n : {0u, 1u, 7u, 8u, 40u, 109u}) {
      auto scores = ra::testing::random_floats(3 * 110, 2);
      scores[6] = std::numeric_limits<float>::quiet_NaN();
      scores[110 + 39] = kInf;
      for (const float level : {-kInf, -0.5f, 0.75f, 1e9f, kInf}) {
        const std::vector<float> floors{level, level + 0.05f, level - 0.05f};
        std::vector<std::uint32_t> want, got(n + 1, 77u);
        for (std::size_t i = 0; i < n; ++i) {
          bool any = false;
          for (std::size_t g = 0; g < group; ++g) any |= scores[g * 110 + i] >= floors[g];
          if (any) want.push_back(static_cast<std::uint32_t>(i));
        }
        const std::size_t count =
            table().group_at_least({.scores = scores.data(), .stride = 110, .group = group, .n = n},
                                   floors.data(), got.data());
        EXPECT_EQ(got.back(), 77u) << "wrote past the end";
        got.resize(count);
        EXPECT_EQ(got, want) << group << " rows of " << n << ", " << level;
      }
    }
}

}  // namespace
}  // namespace ra::kernels
