// SPDX-License-Identifier: Apache-2.0
#include "lib/index/hnswlib_adapter.h"

#include <gtest/gtest.h>

#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

TEST(HnswlibAdapterTest, WiderBeamsFindMoreAndCountMore) {
  ASSERT_EQ(hnswlib_index_types().size(), 1u);
  const auto set = testing::ood_set(3000, 16, 400, 1);
  const auto index = testing::build("hnswlib:metric=lift,m=8,ef_construction=60", set.keys.view(),
                                    set.train.view());
  const auto narrow = testing::search(*index, set.test.view(), 10, 10);
  const auto wide = testing::search(*index, set.test.view(), 10, 400);
  const auto recall = [&](const testing::Found& found) {
    return testing::recall(set.keys.view(), set.test.view(), found, 10);
  };
  EXPECT_GT(recall(wide), 0.95);
  EXPECT_GT(recall(wide), recall(narrow));
  EXPECT_GT(wide.stats.distances, narrow.stats.distances);
  EXPECT_LT(wide.stats.distances, 50 * 3000);
  EXPECT_GT(index->build_stats().distances, 3000);
  EXPECT_GT(index->memory_bytes(), 3000u * 16 * sizeof(float));
}

TEST(HnswlibAdapterTest, RawProductsPruneBadly) {
  const auto set = testing::ood_set(3000, 16, 400, 1);
  const auto reach = [&](const char* metric) {
    return testing::build(std::string("hnswlib:m=8,ef_construction=60,metric=") + metric,
                          set.keys.view(), set.train.view())
        ->build_stats()
        .reachable_frac;
  };
  EXPECT_LT(reach("raw"), reach("lift"));
  EXPECT_EQ(reach("query"), 1.0);
}

}  // namespace
}  // namespace ra::index
