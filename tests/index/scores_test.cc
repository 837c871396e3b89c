// SPDX-License-Identifier: Apache-2.0
#include "lib/index/scores.h"

#include <gtest/gtest.h>

#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

TEST(ScoresTest, BlockAndGatherAgreeWithPlainArithmetic) {
  for (const std::size_t dim : {1u, 7u, 16u, 64u, 65u}) {
    const auto rows = testing::gaussian(50, dim, dim),
               queries = testing::gaussian(3, dim, 100 + dim);
    std::vector<float> block(3 * 40, -1), gathered(4);
    score_block(queries.view(), rows.view(), 9, 37, block.data(), 40);
    const std::uint32_t ids[] = {49, 0, 9, 9};
    score_ids(queries.row(1), rows.view(), ids, gathered.data());
    const auto plain = [&](std::size_t q, std::size_t r) {
      double sum = 0;
      for (std::size_t j = 0; j < dim; ++j)
        sum += static_cast<double>(queries.row(q)[j]) * rows.row(r)[j];
      return sum;
    };
    for (std::size_t q = 0; q < 3; ++q)
      for (std::size_t j = 0; j < 37; ++j) EXPECT_NEAR(block[q * 40 + j], plain(q, 9 + j), 1e-4);
    EXPECT_EQ(block[37], -1) << "writes nothing past the rows asked for";
    for (std::size_t j = 0; j < 4; ++j) EXPECT_NEAR(gathered[j], plain(1, ids[j]), 1e-4);
    EXPECT_NEAR(dot(queries.row(0), rows.row(0), dim), plain(0, 0), 1e-4);
  }
}

}  // namespace
}  // namespace ra::index
