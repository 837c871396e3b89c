// SPDX-License-Identifier: Apache-2.0
#include "lib/index/segment_list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <vector>

#include "lib/index/scores.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

constexpr std::size_t kKeys = 900, kDim = 16, kGroup = 5;

class SegmentListTest : public ::testing::TestWithParam<int> {
 protected:
  SegmentListTest() {
    for (const std::size_t count : {400u, 500u}) {
      BuildClock clock;
      std::int64_t distances = 0;
      const auto keys = keys_.view().row_range(list_.keys(), count);
      list_.add(keys, {}, build_cells(keys, {.cells = 25, .tops = 6}, clock, distances),
                testing::identity(kDim).view(), GetParam());
    }
  }
  std::set<std::uint32_t> probe(std::size_t first, std::size_t rows, const ProbeOptions& o) {
    list_.probe(queries_.view().row_range(first, rows), o, scratch_, stats_);
    const std::set<std::uint32_t> found(scratch_.found.begin(), scratch_.found.end());
    EXPECT_EQ(found.size(), scratch_.found.size()) << "each key once";
    return found;
  }
  // The k best keys of a query.
  std::vector<std::uint32_t> best(std::size_t query, std::size_t k) {
    std::vector<float> scores(kKeys);
    score_block(queries_.view().row_range(query, 1), keys_.view(), 0, kKeys, scores.data(), kKeys);
    CutScratch cut_scratch;
    const auto at = cut(scores, k, cut_scratch);
    return {at.begin(), at.end()};
  }
  const Matrix<float> keys_ = testing::gaussian(kKeys, kDim, 1);
  const Matrix<float> queries_ = testing::gaussian(kGroup, kDim, 2);
  SegmentList list_;
  ProbeScratch scratch_;
  SearchStats stats_;
};

TEST_P(SegmentListTest, FindsTheBestKeysOfAllCells) {
  const auto found = probe(0, kGroup, {.probes = 50, .keep = 60});
  EXPECT_LT(found.size(), GetParam() == 0 ? kKeys + 1 : kKeys * 2 / 3);
  for (std::size_t r = 0; r < kGroup; ++r)
    for (const std::uint32_t id : best(r, 15)) EXPECT_TRUE(found.contains(id)) << r << ' ' << id;
  const std::size_t coded = GetParam() == 0 ? 0 : kKeys;
  EXPECT_EQ(stats_.coded, static_cast<std::int64_t>(kGroup * (2 * 16 + 50 + coded)))
      << "tops in whole blocks, cells, keys";
  EXPECT_EQ(stats_.distances, stats_.coded);
  EXPECT_EQ(stats_.hops, 50);
}

TEST_P(SegmentListTest, AGroupFindsAtLeastWhatEachOfItsQueriesDoes) {
  const ProbeOptions o{.probes = 6, .open = 100, .reach = 1, .keep = 30};
  const auto together = probe(0, kGroup, o);
  std::set<std::uint32_t> apart;
  for (std::size_t r = 0; r < kGroup; ++r) {
    const auto own = probe(r, 1, o);
    EXPECT_GE(own.size(), 30u);
    apart.insert(own.begin(), own.end());
  }
  EXPECT_LT(together.size(), kKeys);
  if (GetParam() == 0) {
    EXPECT_EQ(together, apart);  // all keys of the picked cells
  } else {
    // A key that is among the best of a query's own cells stays so among those of all cells, or
    // gives way to better ones.
    for (std::size_t r = 0; r < kGroup; ++r)
      for (const std::uint32_t id : best(r, 10))
        EXPECT_TRUE(together.contains(id) || !apart.contains(id)) << r << ' ' << id;
  }
}

TEST_P(SegmentListTest, FewOpenTopsMeanFewScoredCells) {
  (void)probe(0, 1, {.probes = 2, .open = 1, .keep = 10});
  const auto little = stats_.distances;
  stats_ = {};
  (void)probe(0, 1, {.probes = 2, .open = 100, .keep = 10});
  EXPECT_LT(little, stats_.distances);
}

// ln of what a query's softmax over the keys and `held` adds up to.
double log_sum(std::span<const float> scores, const AttentionShare& share, std::size_t query) {
  double sum = std::exp(static_cast<double>(share.held[query]));
  for (const float score : scores) sum += std::exp(static_cast<double>(share.scale * score));
  return std::log(sum);
}

TEST_P(SegmentListTest, KeysWorthAShareOfAnyQueryAreFound) {
  if (GetParam() == 0) GTEST_SKIP() << "keys have no scores without codes";
  Matrix<float> scores(kGroup, kKeys);
  score_block(queries_.view(), keys_.view(), 0, kKeys, scores.data(), kKeys);
  for (const float held : {-std::numeric_limits<float>::infinity(), 3.0f, 8.0f}) {
    SCOPED_TRACE(held);
    const std::vector<float> of_each(kGroup, held);
    const AttentionShare share{.least = 0.004f, .scale = 0.5f, .held = of_each};
    // All cells are open, and promise so much that all with a key of that worth are read.
    const auto found = probe(0, kGroup, {.probes = 50, .reach = 6, .share = &share});
    ASSERT_EQ(scratch_.floors.size(), kGroup);
    std::vector<float> above(kKeys, -std::numeric_limits<float>::infinity());
    for (std::size_t r = 0; r < kGroup; ++r) {
      const float floor = scratch_.floors[r];
      // The mass is what 50 cells tell of it.
      EXPECT_NEAR(share.scale * floor - std::log(share.least),
                  log_sum(scores.row_span(r), share, r), 0.8);
      for (std::size_t i = 0; i < kKeys; ++i)
        above[i] = std::max(above[i], scores.row(r)[i] - floor);
    }
    const float rounding = GetParam() == 4 ? 2.0f : 0.1f;
    std::size_t sure = 0;
    for (std::uint32_t i = 0; i < kKeys; ++i) {
      sure += above[i] > rounding;
      if (std::abs(above[i]) > rounding) {
        EXPECT_EQ(found.contains(i), above[i] > 0) << above[i];
      }
    }
    EXPECT_GT(sure, 10u);
  }
}

// Cells that lie apart where no query looks, and whose keys lie apart where all look.
TEST(SegmentListShareTest, CellsAreReadForTheKeysThatOnlyTheQueriesTellApart) {
  Matrix<float> keys = testing::gaussian(kKeys, kDim, 3);
  for (std::size_t i = 0; i < kKeys; ++i) keys.row(i)[0] *= 100;
  Matrix<float> query(1, kDim);
  query.row(0)[1] = 6;
  BuildClock clock;
  std::int64_t distances = 0;
  const Cells cells = build_cells(keys.view(), {.cells = 40, .tops = 6}, clock, distances);
  SegmentList list;
  list.add(keys.view(), {}, cells, testing::identity(kDim).view(), 8);
  const std::vector<float> held(1, 0.0f);
  const AttentionShare share{.least = 0.01f, .scale = 1, .held = held};
  ProbeScratch scratch;
  SearchStats stats;
  list.probe(query.view(), {.probes = 1, .open = 1000, .reach = 3, .share = &share}, scratch,
             stats);
  const std::set<std::uint32_t> found(scratch.found.begin(), scratch.found.end());
  std::size_t wanted = 0;
  for (std::uint32_t i = 0; i < kKeys; ++i) {
    if (keys.row(i)[1] * 6 < scratch.floors[0] + 0.1f) continue;
    ++wanted;
    EXPECT_TRUE(found.contains(i)) << keys.row(i)[1];
  }
  EXPECT_GT(wanted, 5u);
}

TEST_P(SegmentListTest, NothingIsReadWhereTheMassLiesElsewhere) {
  if (GetParam() == 0) GTEST_SKIP() << "keys have no scores without codes";
  std::vector<float> held(kGroup, 100.0f);
  const AttentionShare share{.least = 0.01f, .scale = 0.5f, .held = held};
  const ProbeOptions o{.probes = 50, .reach = 2, .share = &share};
  EXPECT_TRUE(probe(0, kGroup, o).empty());
  EXPECT_EQ(stats_.hops, 0);
  EXPECT_EQ(stats_.distances, static_cast<std::int64_t>(kGroup * (2 * 16 + 50))) << "cells only";
  held[2] = 0;  // one query is enough
  EXPECT_FALSE(probe(0, kGroup, o).empty());
}

TEST_P(SegmentListTest, ASmallerShareFindsMore) {
  if (GetParam() == 0) GTEST_SKIP() << "keys have no scores without codes";
  const std::vector<float> held(kGroup, 2.0f);
  std::set<std::uint32_t> before;
  std::int64_t distances = kGroup * (2 * 16 + 50) + 1;  // more than the cells
  for (const float least : {0.03f, 0.01f, 0.003f, 0.0003f}) {
    stats_ = {};
    const AttentionShare share{.least = least, .scale = 0.5f, .held = held};
    const auto found = probe(0, kGroup, {.probes = 50, .reach = 2, .share = &share});
    EXPECT_GT(found.size(), before.size());
    EXPECT_TRUE(std::ranges::includes(found, before));
    EXPECT_GE(stats_.distances, distances);
    before = found;
    distances = stats_.distances;
  }
}

TEST_P(SegmentListTest, QueriesThatAreNotFiniteFindNothingByShare) {
  if (GetParam() == 0) GTEST_SKIP() << "keys have no scores without codes";
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Matrix<float> queries(2, kDim);
  std::fill_n(queries.data(), 2 * kDim, nan);
  const std::vector<float> held(2, nan);
  const AttentionShare share{.least = 0.01f, .scale = 0.5f, .held = held};
  list_.probe(queries.view(), {.probes = 5, .reach = 2, .share = &share}, scratch_, stats_);
  EXPECT_TRUE(scratch_.found.empty());
}

TEST_P(SegmentListTest, ShrinksByWholeSegments) {
  const std::size_t bytes = list_.bytes();
  list_.shrink(400);
  EXPECT_EQ(list_.keys(), 400u);
  EXPECT_LT(list_.bytes(), bytes);
  for (const std::uint32_t id : probe(0, kGroup, {.probes = 50, .keep = 400})) EXPECT_LT(id, 400u);
}

TEST_P(SegmentListTest, NoQueriesFindNothing) {
  EXPECT_TRUE(probe(0, 0, {.probes = 5, .keep = 5}).empty());
  EXPECT_EQ(stats_.distances, 0);
}

INSTANTIATE_TEST_SUITE_P(Codes, SegmentListTest, ::testing::Values(0, 4, 8),
                         [](const auto& bits) { return "bits" + std::to_string(bits.param); });

}  // namespace
}  // namespace ra::index
