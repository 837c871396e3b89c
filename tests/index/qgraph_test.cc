// SPDX-License-Identifier: Apache-2.0
#include "lib/index/qgraph.h"

#include <gtest/gtest.h>

#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

using testing::measure;
using testing::Point;

TEST(QgraphTest, FindsMoreWhereAHitIsWorthMore) {
  const auto set = testing::ood_set(3000, 32, 800, 31);
  const Point low = measure(set, "qgraph:k=20,floor=0", 20, 2),
              high = measure(set, "qgraph:k=20,floor=0", 20, 500);
  EXPECT_GT(low.recall, 0.2);
  EXPECT_GT(high.recall, 0.95);
  EXPECT_LT(high.scanned, 0.3);
  EXPECT_LT(low.scanned, high.scanned);
}

TEST(QgraphTest, TheFloorIsReachedAtAnyPrice) {
  const auto set = testing::ood_set(3000, 32, 800, 31);
  const Point low = measure(set, "qgraph:k=20,floor=500", 20, 1),
              high = measure(set, "qgraph:k=20,floor=950", 20, 1);
  EXPECT_GT(high.recall, 0.9);
  EXPECT_LT(low.recall, high.recall);
  EXPECT_LT(low.scanned, high.scanned);
}

TEST(QgraphTest, WhereAHitIsWorthAllKeysTheSearchIsFull) {
  const auto set = testing::ood_set(1500, 16, 200, 33);
  const Point full = measure(set, "qgraph", 20, 1500);
  EXPECT_EQ(full.recall, 1);
  EXPECT_EQ(full.scanned, 1);
}

// Keys in tight clusters far apart, no links between them, and a query that looks at one.
TEST(QgraphTest, AColdSearchFindsTheRightCluster) {
  testing::OodSet set{testing::gaussian(2000, 16, 41), testing::gaussian(400, 16, 42),
                      testing::gaussian(40, 16, 43)};
  for (std::size_t i = 0; i < 2000; ++i) set.keys.row(i)[i / 100 % 16] += 60.0f;
  for (std::size_t i = 0; i < 40; ++i) set.test.row(i)[5] += 20.0f;
  EXPECT_GT(measure(set, "qgraph:k=20,beam=40", 20, 1).recall, 0.9);
}

// Two heads that look at other coordinates, and keys that fit neither metric alone.
struct TwoHeads {
  testing::OodSet set = testing::ood_set(3000, 32, 800, 35);
  testing::OodSet other = testing::ood_set(1, 32, 800, 37);
  TwoHeads() {
    for (auto* m : {&other.train, &other.test})
      for (std::size_t i = 0; i < m->rows(); ++i)
        for (std::size_t j = 0; j < 8; ++j) std::swap(m->row(i)[j], m->row(i)[j + 16]);
  }
  std::unique_ptr<VectorIndex> build(const std::string& spec) const {
    return build_index(
        testing::spec_of(spec),
        {.keys = set.keys.view(), .train = {{set.train.view()}, {other.train.view()}}, .seed = 1});
  }
};

testing::Found searched(const TwoHeads& t, const VectorIndex& index,
                        std::vector<std::uint32_t> heads) {
  testing::Found all;
  const auto scratch = index.make_scratch();
  std::vector<std::vector<Hit>> hits(2);
  for (std::size_t i = 0; i < t.set.test.rows(); ++i) {
    Matrix<float> rows(2, 32);
    std::copy_n(t.set.test.row(i), 32, rows.row(heads.empty() ? 0 : heads[0] == 0 ? 0 : 1));
    std::copy_n(t.other.test.row(i), 32, rows.row(heads.empty() ? 1 : heads[0] == 0 ? 1 : 0));
    all.stats += index.search(rows.view(), {.k = 20, .effort = 50, .heads = heads}, *scratch, hits);
    for (auto& h : hits) all.hits.push_back(h);
  }
  return all;
}

TEST(QgraphTest, AHeadIsKnownByItsNumberNotByItsRow) {
  const TwoHeads t;
  const auto index = t.build("qgraph:k=20");
  const auto plain = searched(t, *index, {}), swapped = searched(t, *index, {1, 0});
  EXPECT_EQ(plain.stats.distances, swapped.stats.distances);
  for (std::size_t i = 0; i < plain.hits.size(); i += 2)
    EXPECT_TRUE(std::equal(plain.hits[i].begin(), plain.hits[i].end(), swapped.hits[i + 1].begin(),
                           swapped.hits[i + 1].end(),
                           [](const Hit& a, const Hit& b) { return a.id == b.id; }));
}

TEST(QgraphTest, AGraphForEachHeadBeatsOneForTheGroup) {
  const TwoHeads t;
  const auto own = t.build("qgraph:k=20"), one = t.build("qgraph:k=20,metric=group");
  EXPECT_GT(own->memory_bytes(), one->memory_bytes());
  EXPECT_LT(searched(t, *own, {}).stats.distances, searched(t, *one, {}).stats.distances);
}

TEST(QgraphTest, RepeatedQueriesStartAtTheirAnswer) {
  const auto set = testing::ood_set(3000, 32, 800, 39);
  const auto warm = testing::build("qgraph:k=20,beam=20", set.keys.view(), set.train.view());
  const auto cold = testing::build("qgraph:k=20,beam=20,steps=0,memory=0,probes=0", set.keys.view(),
                                   set.train.view());
  EXPECT_TRUE(warm->sequential());
  EXPECT_FALSE(cold->sequential());
  const auto scratch = warm->make_scratch();
  std::vector<std::vector<Hit>> hits(1);
  const auto query = set.test.view().row_range(0, 1);
  const SearchParams p{.k = 20};
  std::vector<std::size_t> found;
  for (int i = 0; i < 3; ++i) {
    warm->search(query, p, *scratch, hits);
    found.push_back(0);
    for (const Hit& truth : testing::exact(set.keys.view(), query.row(0), 20))
      found.back() += std::any_of(hits[0].begin(), hits[0].end(),
                                  [&](const Hit& h) { return h.id == truth.id; });
  }
  EXPECT_GE(found[1], found[0]);
  EXPECT_GE(found[2], found[1]);
  std::vector<std::vector<Hit>> first(1), again(1);
  const auto other = cold->make_scratch();
  cold->search(query, p, *other, first);
  cold->search(query, p, *other, again);
  EXPECT_TRUE(std::ranges::equal(first[0], again[0],
                                 [](const Hit& a, const Hit& b) { return a.id == b.id; }));
}

}  // namespace
}  // namespace ra::index
