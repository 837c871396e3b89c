// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/quantiles.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ra::stats {
namespace {

TEST(Quantiles, InterpolateLikeNumpy) {
  const std::vector<double> x{3.1, -2.0, 7.5, 0.25, 7.5, 11.0, 4.0};
  // numpy.quantile(x, [0, .05, .25, .5, .8, .99, 1])
  EXPECT_DOUBLE_EQ(quantile(x, 0), -2.0);
  EXPECT_NEAR(quantile(x, 0.05), -1.325, 1e-12);
  EXPECT_NEAR(quantile(x, 0.25), 1.675, 1e-12);
  EXPECT_DOUBLE_EQ(quantile(x, 0.5), 4.0);
  EXPECT_NEAR(quantile(x, 0.8), 7.5, 1e-12);
  EXPECT_NEAR(quantile(x, 0.99), 10.79, 1e-12);
  EXPECT_DOUBLE_EQ(quantile(x, 1), 11.0);
  EXPECT_DOUBLE_EQ(quantile({5.0}, 0.3), 5.0);
}

TEST(Quantiles, SummaryOfAKnownSet) {
  const Summary s = summarise({2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_EQ(s.n, 8u);
  EXPECT_DOUBLE_EQ(s.mean, 5.0);
  EXPECT_NEAR(s.stddev, std::sqrt(32.0 / 7.0), 1e-12);
  EXPECT_DOUBLE_EQ(s.min, 2);
  EXPECT_DOUBLE_EQ(s.p50, 4.5);
  EXPECT_DOUBLE_EQ(s.max, 9);
  EXPECT_DOUBLE_EQ(summarise({3.5}).stddev, 0);
}

TEST(Quantiles, PairwiseSumKeepsSmallTerms) {
  // A running f64 sum loses each 1e-16 beside 1; halving adds the small ones to each other first.
  std::vector<double> x(1 << 16, 1e-16);
  x[0] = 1;
  EXPECT_NEAR(pairwise_sum(x) - 1, 65535e-16, 4e-15);
  EXPECT_GT(pairwise_sum(x), 1.0);
}

}  // namespace
}  // namespace ra::stats
