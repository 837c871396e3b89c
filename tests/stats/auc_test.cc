// SPDX-License-Identifier: Apache-2.0
#include "lib/stats/auc.h"

#include <gtest/gtest.h>

#include <vector>

namespace ra::stats {
namespace {

using V = std::vector<double>;

TEST(Auc, EqualsTheMannWhitneyStatisticWithTies) {
  // scipy.stats.mannwhitneyu(a, b).statistic / (len(a) * len(b))
  const V a{1.5, 2, 2, 3.25, 7, 9}, b{0, 2, 2, 2.5, 3.25, -4, 8};
  EXPECT_NEAR(auc(a, b), 0.6309523809523809, 1e-15);
  EXPECT_NEAR(auc(b, a), 1 - 0.6309523809523809, 1e-15);
}

TEST(Auc, Extremes) {
  EXPECT_EQ(auc(V{5, 6}, V{1, 2, 3}), 1);
  EXPECT_EQ(auc(V{1}, V{1}), 0.5);
  EXPECT_EQ(auc(V{0}, V{1, 2}), 0);
}

}  // namespace
}  // namespace ra::stats
