// SPDX-License-Identifier: Apache-2.0
#include "lib/index/roar.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

using testing::measure;
using testing::Point;

TEST(RoarTest, FindsWhatOutOfDistributionQueriesAskFor) {
  const auto set = testing::ood_set(1500, 32, 800, 31);
  const Point query = measure(set, "roar:knn=30,m=16,beam=60", 20, 40);
  EXPECT_GT(query.recall, 0.95);
  EXPECT_LT(query.scanned, 0.3);
}

TEST(RoarTest, QueryMetricNeedsFewerDistancesThanRaw) {
  const auto set = testing::ood_set(1500, 32, 800, 33);
  const Point raw = measure(set, "roar:knn=30,m=16,beam=60,metric=raw", 20, 40);
  const Point query = measure(set, "roar:knn=30,m=16,beam=60,metric=query", 20, 40);
  EXPECT_GT(query.recall, raw.recall);
}

TEST(RoarTest, ReportsStagesAndGraph) {
  const auto set = testing::ood_set(800, 16, 400, 35);
  const auto index = testing::build("roar:knn=20,m=12,beam=50", set.keys.view(), set.train.view());
  const BuildStats& s = index->build_stats();
  EXPECT_GE(s.distances, 800 * 400) << "the exact table alone takes as many";
  EXPECT_GE(s.build_ms, s.knn_ms + s.project_ms + s.connect_ms);
  EXPECT_GT(s.degree_mean, 4);
  EXPECT_LE(s.degree_max, 800);
  EXPECT_EQ(s.reachable_frac, 1);
}

TEST(RoarTest, OneIndexServesTheHeadsOfAGroup) {
  auto set = testing::ood_set(1200, 32, 600, 37);
  auto other = testing::ood_set(1, 32, 600, 39);
  for (std::size_t i = 0; i < 600; ++i) std::swap(other.train.row(i)[1], other.train.row(i)[20]);
  for (std::size_t i = 0; i < 50; ++i) std::swap(other.test.row(i)[1], other.test.row(i)[20]);
  BuildInput in{
      .keys = set.keys.view(), .train = {{set.train.view()}, {other.train.view()}}, .seed = 1};
  const auto index = build_index(testing::spec_of("roar:knn=30,m=16,beam=60"), in);
  for (const Matrix<float>* test : {&set.test, &other.test}) {
    const auto found = testing::search(*index, test->view(), 20, 60);
    EXPECT_GT(testing::recall(set.keys.view(), test->view(), found, 20), 0.9);
  }
}

// A narrow beam finds more of a query like the last one where it starts from that one's hits.
TEST(RoarTest, StartsFromTheHitsOfTheHeadsLastQuery) {
  const auto set = testing::ood_set(1500, 32, 800, 41);
  BuildInput in{
      .keys = set.keys.view(), .train = {{set.train.view()}, {set.train.view()}}, .seed = 1};
  const auto build = [&](const char* entry) {
    return build_index(
        testing::spec_of(std::string("roar:knn=30,m=16,beam=60,metric=raw,entry=") + entry), in);
  };
  const auto cold = build("hubs"), warm = build("last");
  EXPECT_FALSE(cold->sequential());
  EXPECT_TRUE(warm->sequential());
  // Hits of a query after a wide search for it by some head.
  const auto after = [&](const VectorIndex& index, std::uint32_t head) {
    const auto scratch = index.make_scratch();
    std::vector<std::vector<Hit>> hits(1);
    const std::uint32_t first[] = {0}, second[] = {head};
    const auto query = set.test.view().row_range(3, 1);
    (void)index.search(query, {.k = 20, .effort = 200, .heads = first}, *scratch, hits);
    (void)index.search(query, {.k = 20, .effort = 1, .heads = second}, *scratch, hits);
    testing::Found found;
    found.hits = hits;
    return testing::recall(set.keys.view(), query, found, 20);
  };
  EXPECT_GT(after(*warm, 0), 0.9);
  EXPECT_LT(after(*warm, 1), after(*warm, 0)) << "the other head knows nothing of it";
  EXPECT_EQ(after(*cold, 0), after(*cold, 1));
}

}  // namespace
}  // namespace ra::index
