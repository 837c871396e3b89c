// SPDX-License-Identifier: Apache-2.0
#include "lib/attention/training.h"

#include <gtest/gtest.h>

#include "tests/support/random.h"

namespace ra::attention {
namespace {

TEST(HeldTraining, AsksForEachHeadAndLeavesOutThoseWithoutQueries) {
  std::vector<int> asked;
  const TrainingOf of = [&](int layer, int head, std::int64_t begin, std::int64_t end) {
    EXPECT_EQ(layer, 3);
    EXPECT_EQ(begin, 10);
    EXPECT_EQ(end, 20);
    asked.push_back(head);
    Training t;
    if (head == 5) t.rows = testing::random_matrix(2, 4, 1);
    if (head == 6) t.moment = testing::random_matrix(4, 4, 2);
    return t;
  };
  const HeldTraining held(of, 3, 4, 3, 10, 20);
  EXPECT_EQ(asked, (std::vector<int>{4, 5, 6}));
  ASSERT_EQ(held.views.size(), 2u);
  EXPECT_EQ(held.views[0].rows.rows, 2u);
  EXPECT_EQ(held.views[0].rows.data, held.sets[1].rows.data());
  EXPECT_EQ(held.views[1].moment.rows, 4u);
  EXPECT_TRUE(HeldTraining({}, 0, 0, 2, 0, 1).views.empty());
}

}  // namespace
}  // namespace ra::attention
