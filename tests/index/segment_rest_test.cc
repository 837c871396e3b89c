// SPDX-License-Identifier: Apache-2.0
// What SegmentList::probe says of the keys below a query's floor.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/index/scores.h"
#include "lib/index/segment_list.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

constexpr std::size_t kKeys = 900, kDim = 16, kValues = 10, kGroup = 5;
constexpr float kScale = 0.5f;

class SegmentRestTest : public ::testing::TestWithParam<int> {
 protected:
  SegmentRestTest() : scores_(kGroup, kKeys) {
    for (std::size_t i = 0; i < kKeys; ++i)  // values that keys which lie together share in part
      std::copy_n(keys_.row(i), kValues, values_.row(i));
    for (const std::size_t count : {400u, 500u}) {
      BuildClock clock;
      std::int64_t distances = 0;
      const std::size_t first = list_.keys();
      const auto keys = keys_.view().row_range(first, count);
      list_.add(keys, values_.view().row_range(first, count),
                build_cells(keys, {.cells = 25, .tops = 6}, clock, distances),
                testing::identity(kDim).view(), GetParam());
    }
    score_block(queries_.view(), keys_.view(), 0, kKeys, scores_.data(), kKeys);
  }
  SearchStats probe(std::size_t first, std::size_t rows, float open, bool rest = true) {
    const AttentionShare share{
        .least = 0.02f, .scale = kScale, .held = std::span(held_).first(rows), .rest = rest};
    SearchStats stats;
    list_.probe(queries_.view().row_range(first, rows),
                {.probes = 5, .open = open, .reach = 2, .share = &share}, scratch_, stats);
    return stats;
  }
  const Matrix<float> keys_ = testing::gaussian(kKeys, kDim, 1),
                      queries_ = testing::gaussian(kGroup, kDim, 2);
  const std::vector<float> held_ = std::vector<float>(kGroup, 1.0f);
  Matrix<float> values_ = Matrix<float>(kKeys, kValues), scores_;
  SegmentList list_;
  ProbeScratch scratch_;
};

// The softmax sum and the weighted values of the keys below a floor, in units of its exponential.
struct Below {
  double sum = 0;
  std::vector<double> values = std::vector<double>(kValues);
};
Below below(const float* scores, const Matrix<float>& values, float floor) {
  Below b;
  for (std::size_t i = 0; i < kKeys; ++i) {
    if (scores[i] >= floor) continue;
    const double weight = std::exp(static_cast<double>(kScale * (scores[i] - floor)));
    b.sum += weight;
    for (std::size_t j = 0; j < kValues; ++j)
      b.values[j] += weight * static_cast<double>(values.row(i)[j]);
  }
  return b;
}

TEST_P(SegmentRestTest, IsAboutWhatTheKeysBelowTheFloorComeTo) {
  for (const float open : {100.0f, 0.1f})  // all top cells, or one of twelve
    for (std::size_t r = 0; r < kGroup; ++r) {
      SCOPED_TRACE(open);
      (void)probe(r, 1, open);
      const Rest& rest = scratch_.rest;
      ASSERT_EQ(rest.sums.size(), 1u);
      ASSERT_EQ(rest.stride, 16u);
      ASSERT_EQ(rest.values.size(), 16u);
      const Below want = below(scores_.row(r), values_, scratch_.floors[0]);
      EXPECT_NEAR(rest.sums[0], want.sum, (open > 1 ? 0.12 : 0.35) * want.sum);
      double error = 0, norm = 0;
      for (std::size_t j = 0; j < kValues; ++j) {
        error += std::pow(static_cast<double>(rest.values[j]) - want.values[j], 2);
        norm += want.values[j] * want.values[j];
      }
      EXPECT_LT(error, norm) << "nearer than nothing";
      for (std::size_t j = kValues; j < 16; ++j) EXPECT_EQ(rest.values[j], 0);
    }
}

TEST_P(SegmentRestTest, IsThatOfEachQueryOfAGroup) {
  for (std::size_t r = 0; r < kGroup; ++r) {
    (void)probe(0, kGroup, 100);
    ASSERT_EQ(scratch_.rest.sums.size(), kGroup);
    const Rest together = scratch_.rest;
    (void)probe(r, 1, 100);
    EXPECT_NEAR(scratch_.rest.sums[0], together.sums[r], 1e-4f * together.sums[r]);
    for (std::size_t j = 0; j < 16; ++j)
      EXPECT_NEAR(scratch_.rest.values[j], together.values[r * 16 + j], 1e-3f);
  }
}

TEST_P(SegmentRestTest, CountsTheMeansOfValuesItReads) {
  const SearchStats with = probe(0, kGroup, 100), without = probe(0, kGroup, 100, false);
  EXPECT_TRUE(scratch_.rest.sums.empty()) << "not asked for";
  EXPECT_EQ(with.bytes - without.bytes, 12 * 16 * 2);
  EXPECT_EQ(with.distances, without.distances);
}

TEST_P(SegmentRestTest, ThereIsNoneWithoutValues) {
  SegmentList bare;
  BuildClock clock;
  std::int64_t distances = 0;
  bare.add(keys_.view(), {}, build_cells(keys_.view(), {.cells = 25, .tops = 6}, clock, distances),
           testing::identity(kDim).view(), GetParam());
  std::swap(list_, bare);
  (void)probe(0, kGroup, 100);
  EXPECT_TRUE(scratch_.rest.sums.empty());
  EXPECT_LT(list_.bytes(), bare.bytes());
}

INSTANTIATE_TEST_SUITE_P(Codes, SegmentRestTest, ::testing::Values(4, 8),
                         [](const auto& bits) { return "bits" + std::to_string(bits.param); });

}  // namespace
}  // namespace ra::index
