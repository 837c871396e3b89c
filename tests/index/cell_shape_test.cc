// SPDX-License-Identifier: Apache-2.0
#include "lib/index/cell_shape.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "lib/index/scores.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

// Keys about points far apart, `stretch[j]` of them in direction j; a cell a point.
struct Clusters {
  Matrix<float> keys;
  Cells cells;
};

Clusters clusters(const std::vector<float>& stretch, std::size_t count, std::size_t size) {
  const std::size_t dim = stretch.size();
  Clusters c{testing::gaussian(count * size, dim, 1), {}};
  const Matrix<float> points = testing::gaussian(count, dim, 2);
  c.cells.cell.begin = {0};
  for (std::size_t i = 0; i < count * size; ++i) {
    for (std::size_t j = 0; j < dim; ++j)
      c.keys.row(i)[j] = c.keys.row(i)[j] * stretch[j] + 50 * points.row(i / size)[j];
    c.cells.order.push_back(static_cast<std::uint32_t>(i));
  }
  for (std::size_t i = 1; i <= count; ++i)
    c.cells.cell.begin.push_back(static_cast<std::uint32_t>(i * size));
  c.cells.cell.spread.assign(count, 1.0f);
  return c;
}

// Of all keys: the rms deviation of their scores over their rms distance.
double measured(const Clusters& c, const float* query) {
  const Matrix<float> means = cell_means(c.keys.view(), c.cells.order, c.cells.cell.begin);
  const std::size_t size = c.cells.cell.size(0), dim = c.keys.cols();
  double scores = 0, distances = 0;
  for (std::size_t i = 0; i < c.keys.rows(); ++i) {
    const float *key = c.keys.row(i), *mean = means.row(i / size);
    const double score = static_cast<double>(dot(query, key, dim) - dot(query, mean, dim));
    scores += score * score;
    distances += static_cast<double>(squared_distance(key, mean, dim));
  }
  return std::sqrt(scores / distances);
}

TEST(CellShapeTest, IsThatOfTheKeysWhereTheAxesSuffice) {
  const Clusters c = clusters({3, 1, 1, 0.1f, 2, 1, 0.5f, 1}, 40, 25);
  const CellShape shape(c.keys.view(), c.cells, testing::identity(8).view());
  const Matrix<float> queries = testing::gaussian(20, 8, 3);
  for (std::size_t r = 0; r < queries.rows(); ++r) {
    const double expected = measured(c, queries.row(r));
    EXPECT_NEAR(shape.deviation(queries.row(r)), expected, 1e-3 * expected);
  }
  EXPECT_EQ(shape.bytes(), CellShape::bytes_of(8));
}

TEST(CellShapeTest, KeepsTheAxesThatQueriesLookAlong) {
  // Keys vary most where no query looks.
  constexpr std::size_t kDim = 64, kSeen = 12;
  std::vector<float> stretch(kDim, 8.0f);
  for (std::size_t j = 0; j < kSeen; ++j) stretch[j] = 0.25f * static_cast<float>(j + 1);
  const Clusters c = clusters(stretch, 60, 50);  // more than are sampled
  Matrix<float> metric(kDim, kDim), queries = testing::gaussian(50, kDim, 3);
  for (std::size_t j = 0; j < kDim; ++j) {
    metric.row(j)[j] = j < kSeen ? 1.0f : 1e-3f;
    for (std::size_t r = 0; r < queries.rows(); ++r) queries.row(r)[j] *= metric.row(j)[j];
  }
  const CellShape shape(c.keys.view(), c.cells, metric.view());
  for (std::size_t r = 0; r < queries.rows(); ++r) {
    const double expected = measured(c, queries.row(r));
    EXPECT_NEAR(shape.deviation(queries.row(r)), expected, 0.1 * expected);
  }
}

TEST(CellShapeTest, OfPointsIsNone) {
  const Clusters c = clusters({0, 0, 0, 0}, 5, 2);
  const CellShape shape(c.keys.view(), c.cells, testing::identity(4).view());
  EXPECT_TRUE(shape.points());
  const Matrix<float> query = testing::gaussian(1, 4, 3);
  EXPECT_EQ(shape.deviation(query.row(0)), 0);
}

}  // namespace
}  // namespace ra::index
