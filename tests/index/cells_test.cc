// SPDX-License-Identifier: Apache-2.0
#include "lib/index/cells.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

Cells build(const Matrix<float>& x, const CellOptions& o) {
  BuildClock clock;
  std::int64_t distances = 0;
  return build_cells(x.view(), o, clock, distances);
}

TEST(CellsTest, EveryKeyHasOnePlaceAndMeansAreThoseOfRawKeys) {
  const auto keys = testing::gaussian(1000, 8, 1), x = testing::gaussian(1000, 5, 2);
  const Cells cells = build(x, {.cells = 60, .tops = 7});
  EXPECT_EQ(std::set<std::uint32_t>(cells.order.begin(), cells.order.end()).size(), 1000u);
  EXPECT_LE(cells.top.count(), 7u);
  EXPECT_EQ(cells.top.begin.front(), 0u);
  EXPECT_EQ(cells.top.begin.back(), cells.cell.count());
  EXPECT_EQ(cells.cell.begin.back(), 1000u);
  EXPECT_TRUE(std::is_sorted(cells.top.begin.begin(), cells.top.begin.end()));
  const Matrix<float> means = cell_means(keys.view(), cells.order, cells.cell.begin);
  ASSERT_EQ(means.rows(), cells.cell.count());
  for (std::size_t c = 0; c < means.rows(); ++c)
    for (std::size_t j = 0; j < 8; ++j) {
      double sum = 0;
      for (std::size_t row = cells.cell.begin[c]; row < cells.cell.begin[c + 1]; ++row)
        sum += keys.row(cells.order[row])[j];
      EXPECT_NEAR(means.row(c)[j], sum / cells.cell.size(c), 1e-5);
    }
}

TEST(CellsTest, LargeCellsAreCut) {
  Matrix<float> keys(800, 4);
  for (std::size_t i = 0; i < 20; ++i) keys.row(i)[0] = static_cast<float>(i + 1);
  const Cells cells = build(keys, {.cells = 40, .tops = 4});  // 780 keys are equal
  const std::size_t found = cells.cell.count();
  EXPECT_GT(found, 4u);
  for (std::size_t c = 0; c < found; ++c)
    EXPECT_LE(cells.cell.begin[c + 1] - cells.cell.begin[c], 4 * 800 / 21 + 4);
}

TEST(CellsTest, WhatIsNearLiesNear) {
  constexpr std::size_t kKeys = 2000;
  Matrix<float> keys(kKeys, 3);  // on a line, in any order
  const auto place = [](std::size_t i) { return 7919 * i % kKeys; };
  for (std::size_t i = 0; i < kKeys; ++i)
    for (std::size_t j = 0; j < 3; ++j) keys.row(i)[j] = static_cast<float>((j + 1) * place(i));
  const Cells cells = build(keys, {.cells = 64, .tops = 9});
  std::size_t way = 0;
  for (std::size_t row = 1; row < kKeys; ++row) {
    const std::size_t a = place(cells.order[row - 1]), b = place(cells.order[row]);
    way += a < b ? b - a : a - b;
  }
  // There and back at most; in order of keys it would be a third of the line a step.
  EXPECT_LT(way, 3 * kKeys);
}

TEST(CellsTest, SpreadIsRelativeToTheDistanceBetweenTops) {
  auto keys = testing::gaussian(400, 4, 5);
  for (std::size_t i = 0; i < 400; ++i) keys.row(i)[0] += i % 2 == 0 ? 100.0f : -100.0f;
  const Cells cells = build(keys, {.cells = 2, .tops = 2});
  ASSERT_EQ(cells.cell.count(), 2u);
  for (const float spread : cells.cell.spread) EXPECT_NEAR(spread, 2.0f / 100, 0.004f);
  const Cells one = build(keys, {.cells = 1, .tops = 1});
  EXPECT_EQ(one.top.spread[0], 0) << "no distance between tops";
}

}  // namespace
}  // namespace ra::index
