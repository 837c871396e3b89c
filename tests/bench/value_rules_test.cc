// SPDX-License-Identifier: Apache-2.0
#include "lib/bench/value_rules.h"

#include <gtest/gtest.h>

namespace ra::bench {
namespace {

TEST(ValueRules, KnowsWhichWayIsWorse) {
  ASSERT_NE(value_rule("recall_id"), nullptr);
  EXPECT_TRUE(value_rule("recall_id")->larger_is_better);
  ASSERT_NE(value_rule("work_distances"), nullptr);
  EXPECT_FALSE(value_rule("work_distances")->larger_is_better);
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
