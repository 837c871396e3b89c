// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/proportion.h"

#include <gtest/gtest.h>

namespace ra::stats {
namespace {

// scipy.stats.binomtest(k, n).proportion_ci(method="wilson")
TEST(Wilson, AgreesWithScipy) {
  const auto expect = [](double share, std::size_t n, double low, double high) {
    const auto ci = wilson_ci95(share, n);
    EXPECT_NEAR(ci.first, low, 1e-6);
    EXPECT_NEAR(ci.second, high, 1e-6);
  };
  expect(1.0, 5, 0.565518, 1.0);
  expect(0.0, 5, 0.0, 0.434482);
  expect(0.8, 25, 0.608690, 0.911394);
}

TEST(Wilson, NarrowsWithTrials) {
  const auto few = wilson_ci95(0.9, 10), many = wilson_ci95(0.9, 1000);
  EXPECT_LT(few.first, many.first);
  EXPECT_GT(few.second, many.second);
  EXPECT_DEATH(wilson_ci95(0.5, 0), "n > 0");
}

}  // namespace
}  // namespace ra::stats
