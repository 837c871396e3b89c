// SPDX-License-Identifier: Apache-2.0
#include "lib/index/key_store.h"

#include <gtest/gtest.h>

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
