// SPDX-License-Identifier: Apache-2.0
#include "lib/index/roar_project.h"

#include <gtest/gtest.h>

#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

bool has(const std::vector<std::uint32_t>& list, std::uint32_t id) {
  return std::find(list.begin(), list.end(), id) != list.end();
}

// Two queries with the same best key 0: the first names 1 and 2, the second 3 and 4.
KnnTable shared_pivot() { return {.queries = 2, .k = 3, .ids = {0, 1, 2, 0, 3, 4}}; }

class ProjectTest : public ::testing::Test {
 protected:
  const Matrix<float> x_ = testing::gaussian(8, 4, 3);
  BuildClock clock_;
  std::int64_t distances_ = 0;
};

TEST_F(ProjectTest, PoolingKeepsEveryQueryOfAPivot) {
  const auto links =
      project(x_.view(), shared_pivot(), {.m = 6, .pool = true, .pivots = 1}, clock_, distances_);
  for (std::uint32_t id = 1; id <= 4; ++id) {
    EXPECT_TRUE(has(links[0], id)) << id;
    EXPECT_TRUE(has(links[id], 0)) << "and back from " << id;
  }
  EXPECT_TRUE(links[5].empty());
  EXPECT_GT(distances_, 0);
}

TEST_F(ProjectTest, OverwritingKeepsTheLastQueryOfAPivot) {
  // The pivot's own list is that of the second query; 1 and 2 keep the links back that the first
  // one gave them, and the final pass offers those to the pivot again. With room for two the last
  // query's keys compete with them by nearness.
  const auto links =
      project(x_.view(), shared_pivot(), {.m = 6, .pool = false}, clock_, distances_);
  EXPECT_TRUE(has(links[0], 3) && has(links[0], 4));
  EXPECT_TRUE(has(links[1], 0) && has(links[2], 0));

  // A later query with pivot 1 overwrites the link back from 1 to 0.
  const KnnTable table{.queries = 3, .k = 3, .ids = {0, 1, 2, 0, 3, 4, 1, 5, 6}};
  const auto lost = project(x_.view(), table, {.m = 6, .pool = false}, clock_, distances_);
  EXPECT_TRUE(has(lost[1], 5) && has(lost[1], 6));
  EXPECT_FALSE(has(lost[1], 0));
  EXPECT_FALSE(has(lost[0], 1)) << "the first query's projection is lost on both sides";
  EXPECT_TRUE(has(lost[0], 2));
}

TEST_F(ProjectTest, MorePivotsGiveMoreKeysLinks) {
  const KnnTable table{.queries = 1, .k = 4, .ids = {0, 1, 2, 3}};
  const auto links =
      project(x_.view(), table, {.m = 6, .pool = true, .pivots = 2}, clock_, distances_);
  EXPECT_TRUE(has(links[1], 2) && has(links[1], 3)) << "the second best key takes the list too";
  EXPECT_FALSE(has(links[2], 3)) << "the third does not";
}

TEST_F(ProjectTest, CandidatesWithMostVotesSurviveTheCap) {
  const KnnTable table{.queries = 3, .k = 3, .ids = {0, 1, 2, 0, 2, 3, 0, 2, 4}};
  const auto links = project(x_.view(), table, {.m = 6, .pool = true, .pivots = 1, .pool_cap = 2},
                             clock_, distances_);
  EXPECT_TRUE(has(links[0], 2));
}

TEST_F(ProjectTest, DegreeNeverExceedsM) {
  const auto set = testing::ood_set(600, 16, 500, 4);
  const std::vector<QuerySet> train{{set.train.view()}};
  const KnnTable table = exact_knn(set.keys.view(), pick_queries(train, 0), 30, clock_);
  for (const bool pool : {false, true})
    for (const auto& list :
         project(set.keys.view(), table, {.m = 9, .pool = pool, .pivots = 3}, clock_, distances_)) {
      EXPECT_LE(list.size(), 9u);
      for (std::size_t i = 0; i < list.size(); ++i)
        for (std::size_t j = 0; j < i; ++j) EXPECT_NE(list[i], list[j]);
    }
}

}  // namespace
}  // namespace ra::index
