// SPDX-License-Identifier: Apache-2.0
#include "lib/index/key_store.h"

#include <gtest/gtest.h>

#include "lib/index/scores.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

TEST(KeyStoreTest, CopiesStridedRows) {
  const auto wide = testing::gaussian(5, 9, 1);
  const Matrix<float> copy = copy_rows({wide.data(), 5, 4, 9});
  ASSERT_EQ(copy.cols(), 4u);
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t j = 0; j < 4; ++j) EXPECT_EQ(copy.row(i)[j], wide.row(i)[j]);
}

TEST(KeyStoreTest, RowsAreExactAndTakeTwoBytesWherePossible) {
  auto keys = testing::gaussian(9, 6, 1);
  const auto queries = testing::gaussian(3, 6, 2);
  const std::vector<std::uint32_t> order{8, 0, 3, 3, 1}, picked{4, 0, 2};
  for (const std::size_t bytes : {4u, 2u}) {
    const KeyRows rows(keys.view(), order);
    ASSERT_EQ(rows.rows(), 5u);
    EXPECT_EQ(rows.row_bytes(), 6 * bytes);
    EXPECT_EQ(rows.bytes(), 5 * 6 * bytes);
    float range[9], ids[3];
    rows.score_range(queries.view(), 1, 3, range, 3);
    rows.score_ids(queries.row(2), picked, ids);
    for (std::size_t j = 0; j < 3; ++j) {
      for (std::size_t r = 0; r < 3; ++r)
        EXPECT_NEAR(range[3 * r + j], dot(queries.row(r), keys.row(order[1 + j]), 6), 1e-5);
      EXPECT_NEAR(ids[j], dot(queries.row(2), keys.row(order[picked[j]]), 6), 1e-5);
    }
    for (std::size_t i = 0; i < 9 * 6; ++i) keys.data()[i] = to_float(to_bf16(keys.data()[i]));
  }
}

TEST(KeyStoreDeathTest, WrongShapesAbort) {
  const auto queries = testing::gaussian(2, 4, 1);
  std::vector<std::vector<Hit>> hits(2);
  check_search(queries.view(), 4, {}, hits);
  EXPECT_DEATH(check_search(queries.view(), 5, {}, hits), "queries.cols");
  hits.resize(1);
  EXPECT_DEATH(check_search(queries.view(), 4, {}, hits), "hits.size");
}

}  // namespace
}  // namespace ra::index
