// SPDX-License-Identifier: Apache-2.0
#include "lib/index/occlusion.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "lib/index/query_metric.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

// Points on a line, lifted, seen from the pivot 0 at the origin: 1 and 2 to the right, 3 to the
// left.
TEST(OcclusionTest, LinksTheNearestOfEachDirection) {
  Matrix<float> line(4, 1);
  line.row(1)[0] = 1;
  line.row(2)[0] = 2;
  line.row(3)[0] = -1.5f;
  const Matrix<float> x = lift_to_sphere(line.view());
  std::vector<std::uint32_t> ids{3, 2, 1, 0, 2}, kept;
  std::vector<Hit> candidates;
  EXPECT_EQ(rank_candidates(x.view(), 0, ids, candidates), 3);
  ASSERT_EQ(candidates.size(), 3u);
  EXPECT_EQ(candidates[0].id, 1u);
  EXPECT_EQ(candidates[2].id, 2u);
  select_links(x.view(), candidates, 3, false, kept);
  EXPECT_EQ(kept, (std::vector<std::uint32_t>{1, 3}));
  select_links(x.view(), candidates, 3, true, kept);
  EXPECT_EQ(kept, (std::vector<std::uint32_t>{1, 3, 2})) << "the rejected fill free places";
  select_links(x.view(), candidates, 1, true, kept);
  EXPECT_EQ(kept, (std::vector<std::uint32_t>{1}));
  select_links(x.view(), {}, 3, true, kept);
  EXPECT_TRUE(kept.empty());
}

TEST(OcclusionTest, NoKeptLinkOccludesALaterOne) {
  const auto keys = testing::gaussian(300, 8, 5);
  const Matrix<float> x = lift_to_sphere(keys.view());
  std::vector<std::uint32_t> ids, kept;
  for (std::uint32_t i = 0; i < 300; ++i) ids.push_back(i);
  std::vector<Hit> candidates;
  rank_candidates(x.view(), 17, ids, candidates);
  EXPECT_GT(select_links(x.view(), candidates, 300, false, kept), 0);
  EXPECT_GE(kept.size(), 2u);
  EXPECT_LT(kept.size(), 100u);
  const auto product = [&](std::size_t a, std::size_t b) {
    double sum = 0;
    for (std::size_t j = 0; j < x.cols(); ++j)
      sum += static_cast<double>(x.row(a)[j]) * x.row(b)[j];
    return sum;
  };
  for (std::size_t a = 0; a < kept.size(); ++a)
    for (std::size_t b = 0; b < a; ++b)
      EXPECT_LE(product(kept[a], kept[b]), product(kept[a], 17) + 1e-4);
}

TEST(OcclusionTest, AllAtOnceKeepsWhatOneByOneKeeps) {
  const Matrix<float> x = lift_to_sphere(testing::gaussian(400, 12, 7).view());
  OcclusionScratch scratch;
  std::size_t same = 0, all = 0;
  for (const std::uint32_t pivot : {3u, 50u, 399u})
    for (const std::size_t n : {1u, 40u, 90u, 33u})
      for (const std::size_t limit : {4u, 400u}) {
        std::vector<std::uint32_t> ids, plain, kept;
        for (std::uint32_t i = 0; ids.size() < n; ++i)
          if (i * 4 % 399 != pivot) ids.push_back(i * 4 % 399);
        std::vector<Hit> candidates;
        rank_candidates(x.view(), pivot, ids, candidates);
        select_links(x.view(), candidates, limit, false, plain);
        std::sort(ids.begin(), ids.end());
        EXPECT_GT(select_among(x.view(), pivot, ids, limit, scratch, kept), 0);
        EXPECT_LE(kept.size(), limit);
        EXPECT_EQ(kept.front(), plain.front());
        for (const std::uint32_t id : plain) same += std::ranges::count(kept, id) == 1;
        all += std::max(plain.size(), kept.size());
      }
  EXPECT_GT(static_cast<double>(same), 0.95 * static_cast<double>(all)) << "products in bf16";
}

TEST(OcclusionTest, EqualKeysAreNotOccludedByEachOther) {
  const Matrix<float> x(8, 4);
  OcclusionScratch scratch;
  std::vector<std::uint32_t> kept;
  select_among(x.view(), 2, std::vector<std::uint32_t>{0, 1, 5, 7}, 3, scratch, kept);
  EXPECT_EQ(kept, (std::vector<std::uint32_t>{0, 1, 5}));
  select_among(x.view(), 2, {}, 3, scratch, kept);
  EXPECT_TRUE(kept.empty());
}

}  // namespace
}  // namespace ra::index
