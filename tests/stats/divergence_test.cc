// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/divergence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace ra::stats {
namespace {

TEST(KlDivergence, IsZeroForTheSameDistribution) {
  const std::vector<float> p{1, 2, 3}, shifted{101, 102, 103};
  EXPECT_EQ(kl_divergence(p, p), 0);
  EXPECT_NEAR(kl_divergence(p, shifted), 0, 1e-12);  // logits matter up to a constant
}

TEST(KlDivergence, MatchesTheClosedForm) {
  const std::vector<float> p{0, 0}, q{std::log(3.0f), 0};  // (1/2, 1/2) against (3/4, 1/4)
  EXPECT_NEAR(kl_divergence(p, q), 0.5 * std::log(0.5 / 0.75) + 0.5 * std::log(0.5 / 0.25), 1e-7);
}

TEST(KlDivergence, StaysFiniteForExtremeLogits) {
  const std::vector<float> p{1e4f, -1e4f}, q{-1e4f, 1e4f};
  EXPECT_TRUE(std::isfinite(kl_divergence(p, q)));
}

}  // namespace
}  // namespace ra::stats
