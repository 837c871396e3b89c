// SPDX-License-Identifier: Apache-2.0
#include "lib/index/kmeans.h"

#include <gtest/gtest.h>

#include <set>

#include "lib/core/parallel.h"
#include "tests/index/synthetic.h"
#include "tests/support/plain_row_search.h"

namespace ra::index {
namespace {

Clustering run(const Matrix<float>& x, std::size_t cells, int iterations = 8) {
  BuildClock clock;
  std::int64_t distances = 0;
  auto out = kmeans(x.view(), {.cells = cells, .iterations = iterations}, clock, distances);
  EXPECT_EQ(distances,
            static_cast<std::int64_t>(x.rows() * std::min(cells, x.rows())) * (iterations + 1));
  return out;
}

TEST(KmeansTest, FindsWellSeparatedGroups) {
  auto x = testing::gaussian(600, 10, 1);
  for (std::size_t i = 0; i < 600; ++i) x.row(i)[i % 6] += 60;
  const Clustering c = run(x, 6, 20);
  std::set<std::uint32_t> mixed;
  for (std::size_t i = 0; i < 600; ++i) {
    EXPECT_EQ(c.cell_of[i], c.cell_of[i % 6]) << "rows of a group stay together";
    mixed.insert(c.cell_of[i]);
  }
  EXPECT_GE(mixed.size(), 4u);
}

TEST(KmeansTest, AnotherSearchFindsTheSameCells) {
  auto x = testing::gaussian(600, 10, 1);
  for (std::size_t i = 0; i < 600; ++i) x.row(i)[i % 6] += 60;
  ra::testing::PlainRowSearch search;
  BuildClock clock;
  std::int64_t distances = 0;
  const Clustering c =
      kmeans(x.view(), {.cells = 6, .iterations = 20, .search = &search}, clock, distances);
  EXPECT_EQ(search.calls, 21);
  EXPECT_EQ(c.cell_of, run(x, 6, 20).cell_of);
}

TEST(KmeansTest, EveryRowIsNearestToItsOwnMeanInTheEnd) {
  const auto x = testing::gaussian(500, 7, 2);
  const Clustering c = run(x, 9, 60);
  Matrix<float> mean(c.cells, 7);
  std::vector<float> count(c.cells);
  for (std::size_t i = 0; i < 500; ++i) {
    ++count[c.cell_of[i]];
    for (std::size_t j = 0; j < 7; ++j) mean.row(c.cell_of[i])[j] += x.row(i)[j];
  }
  std::size_t misplaced = 0;
  for (std::size_t i = 0; i < 500; ++i) {
    std::vector<double> d2(c.cells);
    for (std::size_t k = 0; k < c.cells; ++k)
      for (std::size_t j = 0; j < 7; ++j)
        d2[k] += std::pow(x.row(i)[j] - mean.row(k)[j] / count[k], 2);
    misplaced +=
        d2[c.cell_of[i]] > *std::min_element(d2.begin(), d2.end()) + 0.05;  // bf16 products
  }
  EXPECT_LE(misplaced, 5u);
}

TEST(KmeansTest, NoCellIsEmptyWhateverTheRows) {
  Matrix<float> same(50, 3);
  EXPECT_EQ(run(same, 8).cells, 1u);
  const auto few = testing::gaussian(5, 3, 1);
  EXPECT_EQ(run(few, 100).cells, 5u);
  const Clustering c = run(testing::gaussian(300, 4, 3), 60);
  EXPECT_EQ(std::set<std::uint32_t>(c.cell_of.begin(), c.cell_of.end()).size(), c.cells);
  EXPECT_EQ(*std::max_element(c.cell_of.begin(), c.cell_of.end()) + 1, c.cells);
}

TEST(KmeansTest, TheSameForAnyNumberOfThreads) {
  const auto x = testing::gaussian(1500, 16, 4);
  const Clustering one = run(x, 40);
  for (const int n : {1, 3}) {
    set_threads(n);
    EXPECT_EQ(run(x, 40).cell_of, one.cell_of);
  }
  set_threads(0);
}

}  // namespace
}  // namespace ra::index
