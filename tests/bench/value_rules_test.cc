// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/value_rules.h"

#include <gtest/gtest.h>

namespace ra::bench {
namespace {

TEST(ValueRules, KnowsWhichWayIsWorse) {
  ASSERT_NE(value_rule("recall_id"), nullptr);
  EXPECT_EQ(value_rule("recall_id")->better, Better::kLarger);
  ASSERT_NE(value_rule("work_distances"), nullptr);
  EXPECT_EQ(value_rule("work_distances")->better, Better::kSmaller);
}

TEST(ValueRules, WorseIsAboveZeroBetterBelow) {
  const ValueRule larger{"", Better::kLarger, 0, 0.01}, smaller{"", Better::kSmaller, 0.1, 0};
  EXPECT_EQ(worse_by(larger, 0.9, 0.895), 0);
  EXPECT_NEAR(worse_by(larger, 0.9, 0.88), 0.01, 1e-12);
  EXPECT_NEAR(worse_by(larger, 0.9, 0.92), -0.01, 1e-12);
  EXPECT_EQ(worse_by(smaller, 100, 105), 0);
  EXPECT_NEAR(worse_by(smaller, 100, 120), 10, 1e-9);
  EXPECT_NEAR(worse_by(smaller, 100, 80), -10, 1e-9);
}

TEST(ValueRules, AnotherHashIsWorseWhicheverIsLarger) {
  ASSERT_NE(value_rule("hash_k"), nullptr);
  EXPECT_GT(worse_by(*value_rule("hash_k"), 5, 6), 0);
  EXPECT_GT(worse_by(*value_rule("hash_k"), 6, 5), 0);
  EXPECT_EQ(worse_by(*value_rule("hash_k"), 5, 5), 0);
}

TEST(ValueRules, AllocationsMayVaryDistancesMayNot) {
  EXPECT_GT(value_rule("work_allocs")->relative, 0);
  EXPECT_EQ(value_rule("work_distances")->relative, 0);
}

TEST(ValueRules, OtherNumbersAreNotJudged) {
  EXPECT_EQ(value_rule("degree_mean"), nullptr);
  EXPECT_EQ(value_rule(""), nullptr);
}

}  // namespace
}  // namespace ra::bench
