// SPDX-License-Identifier: Apache-2.0
#include "lib/index/sample_floor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "tests/support/random.h"

namespace ra::index {
namespace {

std::size_t reach(const std::vector<float>& scores, float floor) {
  return static_cast<std::size_t>(
      std::count_if(scores.begin(), scores.end(), [&](float v) { return v >= floor; }));
}

// The floor that about `rank` of the scores reach.
float floor_for(const std::vector<float>& scores, std::size_t rank) {
  const SampleFloor f = sample_floor(scores.size(), rank);
  std::vector<float> best(f.parts, -std::numeric_limits<float>::infinity());
  for (std::size_t i = 0; f.parts > 0 && i < scores.size(); ++i)
    best[i % f.parts] = std::max(best[i % f.parts], scores[i]);
  CutScratch scratch;
  return floor_of(f, 0, best, scores, scratch);
}

TEST(SampleFloor, AboutAsManyReachItAsAreWanted) {
  for (const std::size_t n : {512u, 1976u, 4608u, 10001u})
    for (const std::size_t rank : {1u, 12u, 16u, 50u, 128u}) {
      double reached = 0;
      constexpr std::size_t kDraws = 32;
      for (std::size_t draw = 0; draw < kDraws; ++draw) {
        const auto scores = testing::random_floats(n, n * 1000 + rank * 100 + draw);
        const std::size_t here = reach(scores, floor_for(scores, rank));
        EXPECT_GE(here, rank / 2) << n << " " << rank;
        EXPECT_LE(here, 2 * rank + 2) << n << " " << rank;
        reached += static_cast<double>(here) / kDraws;
      }
      EXPECT_NEAR(reached, static_cast<double>(rank), 0.06 * static_cast<double>(rank) + 0.5)
          << n << " " << rank;
    }
}

TEST(SampleFloor, IsExactForSmallSamples) {
  auto scores = testing::random_floats(511, 3);
  const float floor = floor_for(scores, 20);
  EXPECT_EQ(reach(scores, floor), 20u);
  EXPECT_EQ(floor_for(scores, scores.size()), *std::min_element(scores.begin(), scores.end()));
}

// Padding of blocks scores -infinity and is never wanted.
TEST(SampleFloor, PassesOverPadding) {
  auto scores = testing::random_floats(2048, 5);
  std::fill(scores.end() - 900, scores.end(), -std::numeric_limits<float>::infinity());
  EXPECT_GT(floor_for(scores, 12), 0);
}

}  // namespace
}  // namespace ra::index
