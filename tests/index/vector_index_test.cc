// SPDX-License-Identifier: Apache-2.0
#include "lib/index/vector_index.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "lib/index/scores.h"
#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

// Row r has the hits r, r + 1 and r + 2, scored for it alone, after ten more products.
class Neighbours final : public VectorIndex {
 public:
  std::unique_ptr<SearchScratch> make_scratch() const override {
    return std::make_unique<SearchScratch>();
  }
  SearchStats search(MatView<const float> queries, const SearchParams& p, SearchScratch&,
                     std::span<std::vector<Hit>> hits) const override {
    EXPECT_FALSE(p.ranked);
    for (std::uint32_t r = 0; r < queries.rows; ++r) hits[r] = {{r + 2, 1}, {r, 0}, {r + 1, 0}};
    return {.distances = static_cast<std::int64_t>(13 * queries.rows), .coded = 0, .bytes = 7};
  }
  std::size_t memory_bytes() const override { return 0; }
  const BuildStats& build_stats() const override { return stats_; }

 private:
  BuildStats stats_;
};

TEST(VectorIndex, AShortlistJoinsTheHitsAndCountsWhatTheGroupWillScore) {
  const Neighbours index;
  const Matrix<float> queries(4, 2);
  Shortlist list{{99}, {9}};
  const auto stats = index.shortlist(queries.view(), {.k = 3}, *index.make_scratch(), list);
  EXPECT_EQ(list.ids, (std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(stats.distances, 4 * 10 + 4 * 6);  // each of the six by each of the four, once
  EXPECT_EQ(stats.bytes, 7);
  EXPECT_EQ(list.floors, (std::vector<float>{0, 0, 0, 0}));
  index.shortlist(queries.view(), {.k = 4}, *index.make_scratch(), list);  // there are but 3
  EXPECT_EQ(list.floors, std::vector<float>(4, -std::numeric_limits<float>::infinity()));
}

TEST(VectorIndex, SeveralQueriesKeepAQuarterAndAtLeastK) {
  for (const std::size_t few : {1u, 3u}) {
    EXPECT_EQ(shortlist_keep(200, 20, few), 200u);
    EXPECT_EQ(shortlist_keep(200, 300, few), 300u);
  }
  EXPECT_EQ(shortlist_keep(200, 20, 4), 50u);
  EXPECT_EQ(shortlist_keep(200, 100, 7), 100u);
}

// Codes and a floor from a sample choose among many keys: about k of each query, and few of the
// best are missing. Every product is with a code, but those that attention computes.
TEST(VectorIndex, AShortlistOfCodesHoldsTheBestOfManyKeys) {
  const auto set = testing::ood_set(6000, 16, 300, 29);
  const auto flat = testing::build("flat", set.keys.view());
  const auto queries = set.test.view().row_range(0, 7);
  const auto truth = testing::search(*flat, queries, 100, 0);
  for (const char* spec : {"flat:bits=8", "flat:bits=4", "qscan:rank=16", "qivf:probes=40"}) {
    SCOPED_TRACE(spec);
    const auto index = testing::build(spec, set.keys.view(), set.train.view());
    Shortlist list;
    const auto stats = index->shortlist(queries, {.k = 100}, *index->make_scratch(), list);
    const auto& ids = list.ids;
    const std::set<std::uint32_t> once(ids.begin(), ids.end());
    EXPECT_EQ(once.size(), ids.size());
    EXPECT_GE(ids.size(), 100u);
    EXPECT_LE(ids.size(), 2000u);
    std::size_t held = 0;
    for (const auto& of_row : truth.hits)
      for (const Hit& hit : of_row) held += once.count(hit.id);
    EXPECT_GE(held, 560u);  // of 700: these cells are tight, and a sample of their blocks is rough
    EXPECT_EQ(stats.distances - stats.coded, static_cast<std::int64_t>(7 * ids.size()));
    // A floor is about the score of the hundredth, by codes and from a sample.
    ASSERT_EQ(list.floors.size(), 7u);
    for (std::size_t r = 0; r < 7; ++r) {
      std::size_t above = 0;
      for (std::size_t i = 0; i < 6000; ++i)
        above += dot(queries.row(r), set.keys.row(i), 16) >= list.floors[r];
      EXPECT_GE(above, 40u) << r;
      EXPECT_LE(above, 250u) << r;
    }
  }
}

}  // namespace
}  // namespace ra::index
