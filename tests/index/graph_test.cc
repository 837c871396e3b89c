// SPDX-License-Identifier: Apache-2.0
#include "lib/index/graph.h"

#include <gtest/gtest.h>

namespace ra::index {
namespace {

TEST(GraphTest, PacksAndReverses) {
  const LinkLists links{{1, 2}, {}, {0}, {2}};
  const Graph graph(links);
  EXPECT_EQ(graph.size(), 4u);
  EXPECT_EQ(graph.link_count(), 4u);
  EXPECT_EQ(graph.max_degree(), 2u);
  EXPECT_EQ(std::vector<std::uint32_t>(graph.links(0).begin(), graph.links(0).end()), links[0]);
  EXPECT_TRUE(graph.links(1).empty());
  EXPECT_EQ(reversed(links), (LinkLists{{2}, {0}, {0, 3}, {}}));
}

TEST(GraphTest, ReachabilityFollowsDirections) {
  const Graph graph(LinkLists{{1, 2}, {}, {0}, {2}});
  const std::uint32_t zero = 0, three = 3;
  EXPECT_EQ(reachable_from(graph, {&zero, 1}), (std::vector<std::uint8_t>{1, 1, 1, 0}));
  EXPECT_EQ(reachable_from(graph, {&three, 1}), (std::vector<std::uint8_t>{1, 1, 1, 1}));
  EXPECT_EQ(reachable_from(graph, {}), (std::vector<std::uint8_t>{0, 0, 0, 0}));
}

TEST(GraphTest, IsDescribedByItsDegreesAndWhatIsReached) {
  BuildStats stats;
  const std::uint32_t entry = 0;
  describe_graph(Graph(LinkLists{{1, 2}, {0}, {}, {2}}), {&entry, 1}, stats);
  EXPECT_EQ(stats.degree_mean, 1.0);
  EXPECT_EQ(stats.degree_max, 2);
  EXPECT_EQ(stats.reachable_frac, 0.75);
}

}  // namespace
}  // namespace ra::index
