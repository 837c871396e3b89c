// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/shift.h"

#include <gtest/gtest.h>

#include <cmath>

#include "lib/core/rng.h"

namespace ra::stats {
namespace {

TEST(HodgesLehmann, IsTheMedianOfPairwiseAverages) {
  const double d[] = {1, 2, 10};  // averages 1 1.5 5.5 2 6 10 -> median 3.75
  EXPECT_DOUBLE_EQ(hodges_lehmann(d), 3.75);
}

TEST(HodgesLehmann, OfTwoSetsIsTheMedianDifference) {
  const double a[] = {1, 2, 3}, b[] = {11, 12, 14};
  EXPECT_DOUBLE_EQ(hodges_lehmann(a, b), 10);
}

TEST(HodgesLehmann, OneOutlierHardlyMovesIt) {
  const double d[] = {0.01, 0.02, 0.0, -0.01, 0.01, -0.02, 5.0};
  EXPECT_LT(std::abs(hodges_lehmann(d)), 0.05);
}

std::vector<double> noisy(double shift, std::size_t n, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<double> out(n);
  for (double& v : out) v = shift + 0.01 * rng.normal();
  return out;
}

TEST(PairedShift, TellsAClearShiftFromNone) {
  const auto slow = paired_shift(noisy(0.10, 20, 1), {});
  EXPECT_GT(slow.low, 0.03);
  EXPECT_NEAR(slow.estimate, 0.10, 0.01);
  const auto same = paired_shift(noisy(0.0, 20, 2), {});
  EXPECT_LT(same.high, 0.03);
}

TEST(UnpairedShift, RepeatsFromItsSeed) {
  const auto a = noisy(1.0, 30, 3), b = noisy(1.05, 30, 4);
  const auto first = unpaired_shift(a, b, {.seed = 7});
  const auto again = unpaired_shift(a, b, {.seed = 7});
  EXPECT_EQ(first.low, again.low);
  EXPECT_EQ(first.high, again.high);
  EXPECT_NEAR(first.estimate, 0.05, 0.01);
}

TEST(Holm, AdjustsStepDown) {
  const double p[] = {0.01, 0.04, 0.03};
  const auto adjusted = holm(p);  // 0.01*3, then 0.03*2, then max(0.06, 0.04*1)
  EXPECT_DOUBLE_EQ(adjusted[0], 0.03);
  EXPECT_DOUBLE_EQ(adjusted[2], 0.06);
  EXPECT_DOUBLE_EQ(adjusted[1], 0.06);
}

}  // namespace
}  // namespace ra::stats
