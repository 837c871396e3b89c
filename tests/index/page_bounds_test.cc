// SPDX-License-Identifier: Apache-2.0
#include "lib/index/page_bounds.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/random.h"

namespace ra::index {
namespace {

double bound(std::span<const float> query, std::span<const bf16> bounds) {
  std::vector<float> q(2 * query.size());
  bound_query(query, q);
  double sum = 0;
  for (std::size_t j = 0; j < q.size(); ++j)
    sum += static_cast<double>(q[j]) * static_cast<double>(to_float(bounds[j]));
  return sum;
}

// In f64: f32 keys that bf16 rounds, both signs, pages of all sizes.
TEST(PageBounds, AreNotBelowAnyScoreOfThePage) {
  constexpr std::size_t kDim = 24;
  const Matrix<float> queries = testing::random_matrix(40, kDim, 3);
  double slack = 0, spread = 0;
  for (const std::size_t rows : {1, 2, 16, 33}) {
    const Matrix<float> keys = testing::random_matrix(rows, kDim, 10 + rows);
    std::vector<bf16> bounds(2 * kDim);
    page_bounds(keys.view(), bounds);
    for (std::size_t q = 0; q < queries.rows(); ++q) {
      double best = -INFINITY;
      for (std::size_t i = 0; i < rows; ++i) {
        double score = 0;
        for (std::size_t j = 0; j < kDim; ++j)
          score += static_cast<double>(queries.row(q)[j]) * static_cast<double>(keys.row(i)[j]);
        best = std::max(best, score);
      }
      const double b = bound(queries.row_span(q), bounds);
      ASSERT_GE(b, best) << rows;
      if (rows == 1) slack = std::max(slack, b - best);
      if (rows == 1) spread = std::max(spread, std::abs(best));
    }
  }
  EXPECT_GT(slack, 0) << "these keys are no bf16 numbers";
  EXPECT_LT(slack, 0.02 * spread) << "of one key only the rounding is between";
}

TEST(PageBounds, KeepNumbersThatAreBf16) {
  Matrix<float> keys(3, 2);
  const float rows[3][2] = {{1.5f, -0.0f}, {-3, 0.25f}, {0.5f, -0.125f}};
  for (std::size_t i = 0; i < 3; ++i) std::copy_n(rows[i], 2, keys.row(i));
  std::vector<bf16> bounds(4);
  page_bounds(keys.view(), bounds);
  EXPECT_EQ(to_float(bounds[0]), 1.5f);
  EXPECT_EQ(to_float(bounds[1]), 0.25f);
  EXPECT_EQ(to_float(bounds[2]), -3.0f);
  EXPECT_EQ(to_float(bounds[3]), -0.125f);
}

TEST(PageBounds, RoundOutwardsOnBothSidesOfZero) {
  for (const float v : {1.003f, -1.003f, 1e-40f, -1e-40f, 0.0f}) {
    Matrix<float> key(1, 1);
    key.row(0)[0] = v;
    std::vector<bf16> bounds(2);
    page_bounds(key.view(), bounds);
    EXPECT_GE(to_float(bounds[0]), v);
    EXPECT_LE(to_float(bounds[1]), v);
    EXPECT_NEAR(to_float(bounds[0]), v, 0.008 * std::abs(v) + 1e-39);
    EXPECT_NEAR(to_float(bounds[1]), v, 0.008 * std::abs(v) + 1e-39);
  }
}

}  // namespace
}  // namespace ra::index
