// SPDX-License-Identifier: Apache-2.0
#include "lib/index/pages.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

// The pages with the highest sums of max(q_j largest_j, q_j smallest_j), by plain arithmetic.
std::set<std::uint32_t> keys_of_best_pages(MatView<const float> keys, const float* q,
                                           std::size_t page, std::size_t opened) {
  std::vector<std::pair<double, std::size_t>> pages;
  for (std::size_t first = 0; first < keys.rows; first += page) {
    double bound = 0;
    for (std::size_t j = 0; j < keys.cols; ++j) {
      double best = -INFINITY;
      for (std::size_t i = first; i < std::min(first + page, keys.rows); ++i)
        best = std::max(best, static_cast<double>(q[j]) * static_cast<double>(keys.row(i)[j]));
      bound += best;
    }
    pages.emplace_back(-bound, first);
  }
  std::sort(pages.begin(), pages.end());
  std::set<std::uint32_t> ids;
  for (std::size_t p = 0; p < std::min(opened, pages.size()); ++p)
    for (std::size_t i = pages[p].second; i < std::min(pages[p].second + page, keys.rows); ++i)
      ids.insert(static_cast<std::uint32_t>(i));
  return ids;
}

// bf16 keys, so that bounds are not rounded.
testing::OodSet bf16_set() {
  auto set = testing::ood_set(203, 16, 10, 3);
  for (std::size_t i = 0; i < set.keys.rows(); ++i)
    for (float& v : set.keys.row_span(i)) v = to_float(to_bf16(v));
  return set;
}

TEST(Pages, TheBestPagesAreReadWhole) {
  const auto set = bf16_set();
  const auto index = testing::build("pages:page=8", set.keys.view());
  for (const int effort : {1, 8, 9, 64, 1000}) {
    const auto found = testing::search(*index, set.test.view(), effort, effort);
    const std::size_t opened = (static_cast<std::size_t>(effort) + 7) / 8;
    for (std::size_t r = 0; r < set.test.rows(); ++r) {
      const auto want = keys_of_best_pages(set.keys.view(), set.test.row(r), 8, opened);
      EXPECT_EQ(found.hits[r].size(), std::min<std::size_t>(want.size(), effort));
      for (const Hit& hit : found.hits[r]) EXPECT_TRUE(want.contains(hit.id)) << hit.id;
    }
  }
}

TEST(Pages, CountsBoundsTwiceAndKeysOnce) {
  const auto set = bf16_set();
  const auto index = testing::build("pages:page=8", set.keys.view());
  std::vector<std::vector<Hit>> hits(3);
  const auto scratch = index->make_scratch();
  const auto stats =
      index->search(set.test.view().row_range(0, 3), {.k = 5, .effort = 16}, *scratch, hits);
  EXPECT_EQ(stats.hops, 3 * 2);
  EXPECT_NEAR(static_cast<double>(stats.distances), 3 * (2 * 26 + 16), 3 * 5) << "a page is short";
  // Bounds are read once for the group, keys by each head.
  EXPECT_EQ(stats.bytes, 26 * 2 * 16 * 2 + (stats.distances - 3 * 2 * 26) * 16 * 2);
}

TEST(Pages, AtLeastKKeysAreScored) {
  const auto set = bf16_set();
  const auto index = testing::build("pages:page=8", set.keys.view());
  for (const auto& hits : testing::search(*index, set.test.view(), 30, 1).hits)
    EXPECT_GE(hits.size(), 29u);
}

}  // namespace
}  // namespace ra::index
