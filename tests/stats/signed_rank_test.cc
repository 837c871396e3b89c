// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/signed_rank.h"

#include <gtest/gtest.h>

#include <vector>

namespace ra::stats {
namespace {

std::vector<double> sequence(int n) {
  std::vector<double> out;
  for (int i = 0; i < n; ++i) out.push_back(i * 7919 % 1009 / 1009.0 - 0.47);
  return out;
}

TEST(SignedRank, CountsSignChoices) {
  const std::vector<double> all_above{1, 2, 3, 4, 5};
  EXPECT_DOUBLE_EQ(signed_rank_p_above(all_above, 0), 1.0 / 32);
  // Rank sums of at least 14 of 15: all five, or all but the smallest.
  const std::vector<double> one_below{-1, 2, 3, 4, 5};
  EXPECT_DOUBLE_EQ(signed_rank_p_above(one_below, 0), 2.0 / 32);
  EXPECT_DOUBLE_EQ(signed_rank_p_above(all_above, 10), 1);
}

TEST(SignedRank, SharesRanksAmongTies) {
  // Ranks 1.5, 1.5, 3; at least 4.5 of 6 above: {3, 1.5} twice, and all.
  const std::vector<double> tied{-1, 1, 2};
  EXPECT_DOUBLE_EQ(signed_rank_p_above(tied, 0), 3.0 / 8);
}

TEST(SignedRank, LeavesOutWhatEqualsTheShift) {
  EXPECT_DOUBLE_EQ(signed_rank_p_above(std::vector<double>{0, 1, 2}, 0), 0.25);
  EXPECT_DOUBLE_EQ(signed_rank_p_above(std::vector<double>{2, 2}, 2), 1);
  EXPECT_DOUBLE_EQ(signed_rank_p_above({}, 0), 1);
}

// scipy.stats.wilcoxon(x, alternative='greater'), exact and with the normal approximation.
TEST(SignedRank, AgreesWithScipy) {
  EXPECT_NEAR(signed_rank_p_above(sequence(60), 0), 0.30825006349929474, 1e-12);
  EXPECT_NEAR(signed_rank_p_above(sequence(250), 0), 0.07821242210768374, 1e-9);
}

}  // namespace
}  // namespace ra::stats
