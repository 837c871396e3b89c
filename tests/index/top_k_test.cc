// SPDX-License-Identifier: Apache-2.0
#include "lib/index/top_k.h"

#include <gtest/gtest.h>

#include <limits>

namespace ra::index {
namespace {

TEST(TopKTest, TiesGoToTheSmallerIdInAnyOrder) {
  std::vector<Hit> out;
  TopK best;
  for (const bool ascending : {true, false}) {
    best.reset(3);
    for (std::uint32_t i = 0; i < 10; ++i) {
      const std::uint32_t id = ascending ? i : 9 - i;
      best.push(id % 2 == 0 ? 1.0f : 0.5f, id);
    }
    best.finish(out);
    ASSERT_EQ(out.size(), 3u);
    EXPECT_EQ(out[0].id, 0u);
    EXPECT_EQ(out[1].id, 2u);
    EXPECT_EQ(out[2].id, 4u);
  }
}

TEST(TopKTest, EdgeCases) {
  std::vector<Hit> out{{1, 1}};
  TopK best;
  best.reset(0);
  best.push(1, 1);
  best.finish(out);
  EXPECT_TRUE(out.empty());
  best.reset(5);
  const float scores[] = {-std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN(), -1e30f};
  best.push_range(scores, 3, std::uint32_t{10});
  best.finish(out);
  ASSERT_EQ(out.size(), 2u) << "NaN is dropped";
  EXPECT_EQ(out[0].id, 12u);
  EXPECT_EQ(out[1].id, 10u);
  const std::uint32_t ids[] = {7, 8, 9};
  best.reset(1);
  best.push_range(scores, 3, ids);
  best.finish(out);
  EXPECT_EQ(out[0].id, 9u);
}

}  // namespace
}  // namespace ra::index
