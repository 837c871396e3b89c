// SPDX-License-Identifier: Apache-2.0
#include "lib/index/knn_table.h"

#include <gtest/gtest.h>

#include "tests/index/synthetic.h"
#include "tests/support/plain_row_search.h"

namespace ra::index {
namespace {

TEST(KnnTableTest, RowsAreTheExactBestKeys) {
  const auto keys = testing::gaussian(1100, 8, 1), queries = testing::gaussian(37, 8, 2);
  const std::vector<QuerySet> train{{queries.view()}};
  const auto rows = pick_queries(train, 0);
  BuildClock clock;
  const KnnTable table = exact_knn(keys.view(), rows, 12, clock);
  ASSERT_EQ(table.queries, 37u);
  ASSERT_EQ(table.k, 12u);
  for (std::size_t q = 0; q < 37; ++q) {
    const auto truth = testing::exact(keys.view(), queries.row(q), 12);
    for (std::size_t j = 0; j < 12; ++j) EXPECT_EQ(table.row(q)[j], truth[j].id);
  }
  EXPECT_EQ(exact_knn(keys.view().row_range(0, 5), rows, 12, clock).k, 5u);

  ra::testing::PlainRowSearch search;
  EXPECT_EQ(exact_knn(keys.view(), rows, 12, clock, &search).ids, table.ids);
  EXPECT_EQ(search.calls, 1);
}

TEST(KnnTableTest, SamplesAreSpreadOverEachSet) {
  const Matrix<float> a(100, 2), b(50, 2), none;
  const std::vector<QuerySet> train{{a.view()}, {none.view()}, {b.view()}};
  EXPECT_EQ(pick_queries(train, 0).size(), 150u);
  EXPECT_EQ(pick_queries(train, 1000).size(), 150u);
  const auto picked = pick_queries(train, 15);
  ASSERT_EQ(picked.size(), 15u);
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_GE(picked[i], a.row(10 * i)) << "one of every tenth part";
    EXPECT_LT(picked[i], a.row(10 * i) + 20);
  }
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_GE(picked[10 + i], b.row(10 * i));
    EXPECT_LT(picked[10 + i], b.row(10 * i) + 20);
  }
  EXPECT_EQ(pick_queries(train, 1).size(), 1u);
  EXPECT_TRUE(pick_queries({}, 5).empty());
}

}  // namespace
}  // namespace ra::index
