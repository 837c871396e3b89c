// SPDX-License-Identifier: Apache-2.0
#include "lib/index/query_seeds.h"

#include <gtest/gtest.h>

#include "tests/index/synthetic.h"

namespace ra::index {
namespace {

// Queries along three axes; key i points along axis i % 3, more so the smaller i is.
struct Axes {
  Matrix<float> keys{90, 3}, queries{60, 3};
};
Axes axes() {
  Axes a;
  for (std::size_t i = 0; i < 90; ++i) a.keys.row(i)[i % 3] = 100.0f - static_cast<float>(i);
  for (std::size_t i = 0; i < 60; ++i) {
    a.queries.row(i)[i % 3] = 1.0f + static_cast<float>(i);  // lengths do not matter
    a.queries.row(i)[(i + 1) % 3] = 0.01f;
  }
  return a;
}

TEST(QuerySeedsTest, GivesTheBestKeysOfTheLikestQueries) {
  const Axes a = axes();
  BuildClock clock;
  std::int64_t distances = 0;
  const QuerySeeds seeds(a.keys.view(), a.queries.view(), {.centres = 3, .keys = 4}, clock,
                         distances);
  ASSERT_EQ(seeds.centres(), 3u);
  EXPECT_GE(distances, 3 * 90) << "the exact lists";
  EXPECT_EQ(seeds.hubs(), (std::vector<std::uint32_t>{0, 1, 2}));
  const float query[] = {0.1f, 9, 0.2f};
  std::vector<float> scores;
  std::vector<std::uint32_t> out{77};
  seeds.add(query, 1, scores, out);
  EXPECT_EQ(out, (std::vector<std::uint32_t>{77, 1, 4, 7, 10}));
  seeds.add(query, 2, scores, out);
  ASSERT_EQ(out.size(), 5u + 8);
  EXPECT_EQ(out[9], 2u) << "then the second axis";
  EXPECT_GT(seeds.bytes(), 3 * 3 * sizeof(float));
}

TEST(QuerySeedsTest, NoQueriesGiveNoSeeds) {
  const Axes a = axes();
  BuildClock clock;
  std::int64_t distances = 0;
  const QuerySeeds seeds(a.keys.view(), {}, {}, clock, distances);
  EXPECT_EQ(seeds.centres(), 0u);
  EXPECT_TRUE(seeds.hubs().empty());
  std::vector<float> scores;
  std::vector<std::uint32_t> out;
  const float query[] = {1, 0, 0};
  seeds.add(query, 2, scores, out);
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace ra::index
