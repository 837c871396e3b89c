// SPDX-License-Identifier: Apache-2.0
#include "lib/index/flat.h"

#include <gtest/gtest.h>

#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

TEST(FlatTest, EqualsPlainArithmetic) {
  for (const std::size_t n : {1u, 255u, 256u, 257u, 1000u})
    for (const std::size_t dim : {1u, 3u, 64u}) {
      const auto keys = testing::gaussian(n, dim, n), queries = testing::gaussian(5, dim, 99);
      const auto index = testing::build("flat", keys.view());
      std::vector<std::vector<Hit>> hits(5);
      const auto scratch = index->make_scratch();
      const auto stats = index->search(queries.view(), {.k = 17, .effort = 0}, *scratch, hits);
      EXPECT_EQ(stats.distances, static_cast<std::int64_t>(5 * n));
      EXPECT_EQ(stats.bytes, static_cast<std::int64_t>(n * dim * 4)) << "read once for the group";
      for (std::size_t i = 0; i < 5; ++i) {
        const auto truth = testing::exact(keys.view(), queries.row(i), 17);
        ASSERT_EQ(hits[i].size(), truth.size());
        for (std::size_t j = 0; j < truth.size(); ++j)
          EXPECT_NEAR(hits[i][j].score, truth[j].score, 1e-4f);
      }
    }
}

TEST(FlatTest, TiesGoToTheSmallerId) {
  Matrix<float> keys(600, 2), query(1, 2);
  query.row(0)[0] = 1;
  for (std::size_t i = 0; i < 600; ++i) keys.row(i)[0] = i % 3 == 1 ? 1.0f : 0.0f;
  const auto index = testing::build("flat", keys.view());
  const auto found = testing::search(*index, query.view(), 250, 0);
  for (std::size_t j = 0; j < 200; ++j) EXPECT_EQ(found.hits[0][j].id, 3 * j + 1);
  EXPECT_EQ(found.hits[0][200].id, 0u);
  EXPECT_EQ(found.hits[0][201].id, 2u);
  EXPECT_EQ(found.hits[0][202].id, 3u);
}

}  // namespace
}  // namespace ra::index
